pragma circom 2.2.3;

include "requant_relu_lane.circom";

// RequantReluLane for each of WIDTH channels, with their own bit widths and shifts.
template RequantRelu(WIDTH, MAGNITUDES, SHIFTS) {
    signal input in[WIDTH];
    signal output out[WIDTH];

    for (var o = 0; o < WIDTH; o++) out[o] <== RequantReluLane(MAGNITUDES[o], SHIFTS[o])(in[o]);
}
