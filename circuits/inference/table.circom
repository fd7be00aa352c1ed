pragma circom 2.2.3;

include "table_lane.circom";

// TableLane for each of WIDTH lanes. CHANNELS tables of 2^BITS entries stand in TABLES one after the other; lane i
// belongs to channel i * CHANNELS \ WIDTH.
template Table(WIDTH, CHANNELS, BITS, LO, TABLES) {
    assert(CHANNELS >= 1 && WIDTH % CHANNELS == 0); // on parameters, when the circuit is compiled
    signal input in[WIDTH];
    signal output out[WIDTH];

    component lane[WIDTH];
    var size = 1 << BITS;
    for (var i = 0; i < WIDTH; i++) {
        var table[1 << BITS];
        for (var k = 0; k < size; k++) table[k] = TABLES[(i * CHANNELS \ WIDTH) * size + k];
        lane[i] = TableLane(BITS, LO, table);
        lane[i].in <== in[i];
        out[i] <== lane[i].out;
    }
}
