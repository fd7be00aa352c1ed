pragma circom 2.2.3;

// The exclusive or of a word's rotations by A, B and C to the right, or with SHIFT of those by A and B and its shift by C.
// Bits in, bits out: 2 rows a bit, 1 where the shift leaves nothing.
template Sha256Sigma(A, B, C, SHIFT) {
    signal input in[32];
    signal output out[32];

    var both = SHIFT == 1 ? 32 - C : 32;
    signal product[both];
    for (var i = 0; i < 32; i++) {
        var x = in[(i + A) % 32];
        var y = in[(i + B) % 32];
        if (i < both) {
            var z = in[(i + C) % 32];
            product[i] <== in[(i + B) % 32] * in[(i + C) % 32];
            out[i] <== x * (1 - 2 * y - 2 * z + 4 * product[i]) + y + z - 2 * product[i];
        } else {
            out[i] <== x * (1 - 2 * y) + y;
        }
    }
}
