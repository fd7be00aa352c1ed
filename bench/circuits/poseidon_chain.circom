pragma circom 2.2.3;

// A chain of Poseidon(2) permutations (width 3), each hashing the output of the one before: the benchmark's dense
// witness, where nearly every wire is a whole field element.
//
// Laid out as circuits in use are: every S-box costs 3 rows, and every lane that a linear layer writes is a wire with a
// linear row of its own, so about half of the key's A and two thirds of its B are points at infinity.
//
// CONSTANTS[round][lane] and MDS are circomlib's for two inputs, FULL rounds (half before, half after the partial ones).
template PoseidonLink(FULL, ROUNDS, CONSTANTS, MDS) {
    signal input in[2];
    signal output out;

    var boxes = 3 * FULL + ROUNDS - FULL;
    signal square[boxes];
    signal fourth[boxes];
    signal fifth[boxes];
    signal lane[ROUNDS - 1][3];

    var n = 0;
    for (var round = 0; round < ROUNDS; round++) {
        var state[3] = round == 0 ? [0, in[0], in[1]] : lane[round - 1];
        var full = round < FULL \ 2 || round >= ROUNDS - FULL \ 2;
        for (var i = 0; i < 3; i++) {
            state[i] += CONSTANTS[round][i];
            if (full || i == 0) {
                square[n] <== state[i] * state[i];
                fourth[n] <== square[n] * square[n];
                fifth[n] <== fourth[n] * state[i];
                state[i] = fifth[n];
                n++;
            }
        }
        for (var i = 0; i < 3; i++) {
            var mixed = MDS[i][0] * state[0] + MDS[i][1] * state[1] + MDS[i][2] * state[2];
            if (round < ROUNDS - 1) lane[round][i] <== mixed;
            else if (i == 0) out <== mixed;
        }
    }
}

template PoseidonChain(LINKS, FULL, ROUNDS, CONSTANTS, MDS) {
    signal input seed[2];
    signal output out;

    component link[LINKS];
    for (var i = 0; i < LINKS; i++) {
        link[i] = PoseidonLink(FULL, ROUNDS, CONSTANTS, MDS);
        link[i].in[0] <== i == 0 ? seed[0] : link[i - 1].out;
        link[i].in[1] <== seed[1];
    }
    out <== link[LINKS - 1].out;
}
