pragma circom 2.2.3;

include "share_lane.circom";

// ShareLane for the WIDTH values of each of COUNT runs that lie one after the other, in their sum. Two rows a run more:
// the sum, and the hint that is its parity. It is forced to be a bit here and to be the parity in every lane.
//
// Requires, and does not enforce: that the values are integers in 0..2^31 - 1, at most 2^16 of them in a run, and that
// no sum is above 2^SUM_BITS; the writer of the circuit proves it by interval analysis (src/model/bounds.ts).
template Share(COUNT, WIDTH, SCALE, SUM_BITS) {
    assert(WIDTH >= 2 && WIDTH <= 1 << 16); // on the parameter, when the circuit is compiled
    signal input in[COUNT * WIDTH];
    signal output out[COUNT * WIDTH];

    signal sum[COUNT];
    signal odd[COUNT];
    component lane[COUNT * WIDTH];
    for (var c = 0; c < COUNT; c++) {
        var total = 0;
        for (var i = 0; i < WIDTH; i++) total += in[c * WIDTH + i];
        sum[c] <== total;
        odd[c] <-- sum[c] & 1;
        odd[c] * (odd[c] - 1) === 0;
        for (var i = c * WIDTH; i < (c + 1) * WIDTH; i++) {
            lane[i] = ShareLane(SCALE, SUM_BITS);
            lane[i].in <== in[i];
            lane[i].sum <== sum[c];
            lane[i].odd <== odd[c];
            out[i] <== lane[i].out;
        }
    }
}
