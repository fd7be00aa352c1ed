pragma circom 2.2.3;

include "max_pair.circom";

// The largest value of each of COUNT windows of WINDOW values that lie one after the other.
//
// Values are taken in one at a time, by a MaxPair each that is as wide as their proven ranges make necessary: 27 rows for
// 2x2 values of 8 bits. A value that cannot be the largest, as its proven range ends where that of another begins, is
// left out; so padding with constants costs little.
//
// Requires, and does not enforce: MIN[i] <= in[i] <= MAX[i], within 32 bits, which the writer of the circuit proves by
// interval analysis (src/model/bounds.ts).
template Max(COUNT, WINDOW, MIN, MAX) {
    assert(WINDOW >= 2); // on the parameter, when the circuit is compiled
    signal input in[COUNT * WINDOW];
    signal output out[COUNT];

    // Of each window, the first value with the largest lower end: nothing that ends there can be larger.
    var anchor[COUNT];
    var pairs = 0;
    for (var m = 0; m < COUNT; m++) {
        anchor[m] = m * WINDOW;
        for (var i = m * WINDOW; i < (m + 1) * WINDOW; i++) {
            if (MIN[i] > MIN[anchor[m]]) anchor[m] = i;
        }
        for (var i = m * WINDOW; i < (m + 1) * WINDOW; i++) {
            if (MAX[i] > MIN[anchor[m]] && i != anchor[m]) pairs++;
        }
    }

    component pair[pairs];
    var next = 0;
    for (var m = 0; m < COUNT; m++) {
        var floor = MIN[anchor[m]]; // the largest so far is not below it
        var best = in[anchor[m]];
        var most = MAX[anchor[m]];
        for (var i = m * WINDOW; i < (m + 1) * WINDOW; i++) {
            if (MAX[i] > floor && i != anchor[m]) {
                var widest = MAX[i] - floor;
                if (most - MIN[i] > widest) widest = most - MIN[i];
                var bits = 1;
                while (1 << bits <= widest) bits++;
                pair[next] = MaxPair(bits);
                pair[next].a <== best;
                pair[next].b <== in[i];
                best = pair[next].out;
                if (MAX[i] > most) most = MAX[i];
                next++;
            }
        }
        out[m] <== best;
    }
}
