pragma circom 2.2.3;

include "lookup_row.circom";

// LookupRow of the same matrix for each of COUNT indices; their outputs lie one after the other.
template Lookup(COUNT, ROWS, WIDTH, ENTRIES) {
    signal input in[COUNT];
    signal output out[COUNT * WIDTH];

    component at[COUNT];
    for (var i = 0; i < COUNT; i++) {
        at[i] = LookupRow(ROWS, WIDTH, ENTRIES);
        at[i].index <== in[i];
        for (var j = 0; j < WIDTH; j++) out[i * WIDTH + j] <== at[i].out[j];
    }
}
