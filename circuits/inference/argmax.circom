pragma circom 2.2.3;

include "argmax_run.circom";

// ArgMaxRun for each of RUNS runs of WIDTH values, with their own bit widths.
template ArgMax(RUNS, WIDTH, BITS) {
    signal input in[RUNS * WIDTH];
    signal output out[RUNS];

    component run[RUNS];
    for (var r = 0; r < RUNS; r++) {
        run[r] = ArgMaxRun(WIDTH, BITS[r]);
        for (var i = 0; i < WIDTH; i++) run[r].in[i] <== in[r * WIDTH + i];
        out[r] <== run[r].out;
    }
}
