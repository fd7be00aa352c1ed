pragma circom 2.2.3;

include "normalise_run.circom";

// NormaliseRun for each of COUNT runs that lie one after the other, with the same bit widths.
template Normalise(COUNT, WIDTH, EPSILON, PRECISION, ROOT_BITS, BELOW_BITS, ABOVE_BITS) {
    signal input in[COUNT * WIDTH];
    signal output out[COUNT * WIDTH];

    component run[COUNT];
    for (var c = 0; c < COUNT; c++) {
        run[c] = NormaliseRun(WIDTH, EPSILON, PRECISION, ROOT_BITS, BELOW_BITS, ABOVE_BITS);
        for (var i = 0; i < WIDTH; i++) run[c].in[i] <== in[c * WIDTH + i];
        for (var i = 0; i < WIDTH; i++) out[c * WIDTH + i] <== run[c].out[i];
    }
}
