pragma circom 2.2.3;

include "requant_lane.circom";

// RequantLane for each of COUNT lanes, with their own proven ranges; CHANNELS divides COUNT, and consecutive lanes of one
// channel share its shift.
template Requant(COUNT, CHANNELS, SHIFTS, LO, BITS, MIN, MAX) {
    signal input in[COUNT];
    signal output out[COUNT];

    component lane[COUNT];
    for (var i = 0; i < COUNT; i++) {
        lane[i] = RequantLane(MIN[i], MAX[i], SHIFTS[(i * CHANNELS) \ COUNT], LO, BITS);
        lane[i].in <== in[i];
        out[i] <== lane[i].out;
    }
}
