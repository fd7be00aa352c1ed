pragma circom 2.2.3;

include "lookup_row.circom";

// LookupRow in the same matrix for each of COUNT indices, with their own proven ranges; their outputs lie one after the
// other.
template Lookup(COUNT, ROWS, WIDTH, ENTRIES, MIN, MAX) {
    signal input in[COUNT];
    signal output out[COUNT * WIDTH];

    component lane[COUNT];
    for (var i = 0; i < COUNT; i++) {
        lane[i] = LookupRow(ROWS, WIDTH, ENTRIES, MIN[i], MAX[i]);
        lane[i].index <== in[i];
        for (var j = 0; j < WIDTH; j++) out[i * WIDTH + j] <== lane[i].out[j];
    }
}
