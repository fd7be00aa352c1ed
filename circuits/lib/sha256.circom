pragma circom 2.2.3;

// SHA-256's compression function (FIPS 180-4, section 6.2) on bits, lowest first in each word.
//
// Words that enter sums only are never bits of their own: a sum's bits are the only wires of a round beside the products of
// its Boolean functions. 26,600 rows.

function sha256Constants() {
    return [
        0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1, 0x923f82a4, 0xab1c5ed5,
        0xd807aa98, 0x12835b01, 0x243185be, 0x550c7dc3, 0x72be5d74, 0x80deb1fe, 0x9bdc06a7, 0xc19bf174,
        0xe49b69c1, 0xefbe4786, 0x0fc19dc6, 0x240ca1cc, 0x2de92c6f, 0x4a7484aa, 0x5cb0a9dc, 0x76f988da,
        0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7, 0xc6e00bf3, 0xd5a79147, 0x06ca6351, 0x14292967,
        0x27b70a85, 0x2e1b2138, 0x4d2c6dfc, 0x53380d13, 0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85,
        0xa2bfe8a1, 0xa81a664b, 0xc24b8b70, 0xc76c51a3, 0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070,
        0x19a4c116, 0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a, 0x5b9cca4f, 0x682e6ff3,
        0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208, 0x90befffa, 0xa4506ceb, 0xbef9a3f7, 0xc67178f2
    ];
}

function sha256Start() {
    return [0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a, 0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19];
}

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

// f where e is 1, g where it is 0: 1 row a bit.
template Sha256Choose() {
    signal input e[32];
    signal input f[32];
    signal input g[32];
    signal output out[32];

    for (var i = 0; i < 32; i++) out[i] <== e[i] * (f[i] - g[i]) + g[i];
}

// What two of the three are: 2 rows a bit.
template Sha256Majority() {
    signal input a[32];
    signal input b[32];
    signal input c[32];
    signal output out[32];

    signal product[32];
    for (var i = 0; i < 32; i++) {
        product[i] <== b[i] * c[i];
        out[i] <== a[i] * (b[i] + c[i] - 2 * product[i]) + product[i];
    }
}

// The low 32 bits of a sum below 2^(32 + OVER): one linear row, and one a bit.
//
// Requires, and does not enforce: that the sum is below 2^(32 + OVER), which is what its terms are.
template Sha256Sum(OVER) {
    assert(OVER >= 1 && OVER <= 221); // of the parameter, at compile time; not a constraint
    signal input in;
    signal output out[32];

    signal over[OVER];
    var sum = 0;
    for (var i = 0; i < 32; i++) {
        out[i] <-- (in >> i) & 1;
        out[i] * (out[i] - 1) === 0;
        sum += out[i] * (1 << i);
    }
    for (var i = 0; i < OVER; i++) {
        over[i] <-- (in >> (32 + i)) & 1;
        over[i] * (over[i] - 1) === 0;
        sum += over[i] * (1 << (32 + i));
    }
    sum === in;
}

// One block: the state after it. Requires, and does not enforce: that all inputs are bits.
template Sha256Block() {
    signal input state[8][32];
    signal input message[16][32];
    signal output out[8][32];

    var K[64] = sha256Constants();

    signal word[64][32];
    component low[48];
    component high[48];
    component extended[48];
    for (var t = 0; t < 16; t++) word[t] <== message[t];
    for (var t = 16; t < 64; t++) {
        low[t - 16] = Sha256Sigma(7, 18, 3, 1);
        low[t - 16].in <== word[t - 15];
        high[t - 16] = Sha256Sigma(17, 19, 10, 1);
        high[t - 16].in <== word[t - 2];
        var sum = 0;
        for (var i = 0; i < 32; i++) {
            sum += (low[t - 16].out[i] + high[t - 16].out[i] + word[t - 7][i] + word[t - 16][i]) * (1 << i);
        }
        extended[t - 16] = Sha256Sum(2);
        extended[t - 16].in <== sum;
        word[t] <== extended[t - 16].out;
    }

    // a[t + 3], a[t + 2], a[t + 1], a[t] are the standard's a, b, c, d before round t, and e likewise its e, f, g, h.
    signal a[68][32];
    signal e[68][32];
    for (var j = 0; j < 4; j++) {
        a[j] <== state[3 - j];
        e[j] <== state[7 - j];
    }
    component sigmaA[64];
    component sigmaE[64];
    component choose[64];
    component majority[64];
    component nextA[64];
    component nextE[64];
    for (var t = 0; t < 64; t++) {
        sigmaE[t] = Sha256Sigma(6, 11, 25, 0);
        sigmaE[t].in <== e[t + 3];
        choose[t] = Sha256Choose();
        choose[t].e <== e[t + 3];
        choose[t].f <== e[t + 2];
        choose[t].g <== e[t + 1];
        sigmaA[t] = Sha256Sigma(2, 13, 22, 0);
        sigmaA[t].in <== a[t + 3];
        majority[t] = Sha256Majority();
        majority[t].a <== a[t + 3];
        majority[t].b <== a[t + 2];
        majority[t].c <== a[t + 1];
        var first = K[t];
        var second = 0;
        var before = 0;
        for (var i = 0; i < 32; i++) {
            first += (e[t][i] + sigmaE[t].out[i] + choose[t].out[i] + word[t][i]) * (1 << i);
            second += (sigmaA[t].out[i] + majority[t].out[i]) * (1 << i);
            before += a[t][i] * (1 << i);
        }
        nextA[t] = Sha256Sum(3);
        nextA[t].in <== first + second;
        a[t + 4] <== nextA[t].out;
        nextE[t] = Sha256Sum(3);
        nextE[t].in <== first + before;
        e[t + 4] <== nextE[t].out;
    }

    component final[8];
    for (var j = 0; j < 8; j++) {
        var sum = 0;
        for (var i = 0; i < 32; i++) {
            sum += (state[j][i] + (j < 4 ? a[67 - j][i] : e[71 - j][i])) * (1 << i);
        }
        final[j] = Sha256Sum(1);
        final[j].in <== sum;
        out[j] <== final[j].out;
    }
}
