pragma circom 2.2.3;

include "table_lane.circom";

// TableLane for each of COUNT lanes, with their own proven ranges. CHANNELS tables of 2^BITS entries, for values from LO
// on, stand in TABLES one after the other; CHANNELS divides COUNT, and consecutive lanes of one channel share its table.
template Table(COUNT, CHANNELS, BITS, LO, TABLES, MIN, MAX) {
    signal input in[COUNT];
    signal output out[COUNT];

    component lane[COUNT];
    for (var i = 0; i < COUNT; i++) {
        var table[1 << BITS];
        for (var x = MIN[i]; x <= MAX[i]; x++) table[x - MIN[i]] = TABLES[(((i * CHANNELS) \ COUNT) << BITS) + x - LO];
        lane[i] = TableLane(MAX[i] - MIN[i] + 1, MIN[i], table);
        lane[i].in <== in[i];
        out[i] <== lane[i].out;
    }
}
