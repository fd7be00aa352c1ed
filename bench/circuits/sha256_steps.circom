pragma circom 2.2.3;

include "lib/num2bits.circom";

// SHA-256 (FIPS 180-4) cut to a number of steps, so that it fits any size: the benchmark's bit-heavy witness. 64 steps
// make one compression, further ones go on with the next block; with STEPS = 64 * n, `out` is the SHA-256 of n blocks
// whose padding the caller puts into `word`.
//
// Words are arrays of 32 bits, lowest first.

function sha256RoundConstants() {
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

function sha256InitialState() {
    return [
        0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a, 0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19
    ];
}

// The number that 32 bits make. Called on signals, it gives a linear form.
function wordOf(bits) {
    var sum = 0;
    for (var i = 0; i < 32; i++) sum += bits[i] * (1 << i);
    return sum;
}

// Exclusive or of `in` turned right by R1, by R2, and by R3 turned or shifted right. 2 rows a bit.
template Sigma(R1, R2, R3, SHIFTED) {
    signal input in[32];
    signal output out[32];

    signal both[32];
    for (var i = 0; i < 32; i++) {
        var x = in[(i + R1) % 32];
        var y = in[(i + R2) % 32];
        if (SHIFTED && i + R3 >= 32) {
            both[i] <== x * y;
            out[i] <== x + y - 2 * both[i];
        } else {
            var z = in[(i + R3) % 32];
            both[i] <== y * z;
            out[i] <== x * (1 - 2 * y - 2 * z + 4 * both[i]) + y + z - 2 * both[i];
        }
    }
}

// The first STEPS steps of the compression of one block, and the addition at its end.
template Sha256Block(STEPS) {
    var words = STEPS < 16 ? STEPS : 16;
    signal input state[8][32];
    signal input word[words];
    signal output out[8][32];

    var K[64] = sha256RoundConstants();

    // a[t + 3] is the working variable a before step t, a[t + 2] is b, a[t + 1] c, a[t] d; e likewise.
    signal a[STEPS + 4][32];
    signal e[STEPS + 4][32];
    for (var i = 0; i < 4; i++) {
        a[i] <== state[3 - i];
        e[i] <== state[7 - i];
    }

    component scheduled[STEPS];
    component early[STEPS];
    component late[STEPS];
    component sigmaE[STEPS];
    component sigmaA[STEPS];
    component newE[STEPS];
    component newA[STEPS];
    signal choice[STEPS][32];
    signal pair[STEPS][32];
    signal majority[STEPS][32];
    signal w[STEPS][32];
    for (var t = 0; t < STEPS; t++) {
        if (t < 16) {
            scheduled[t] = Num2Bits(32);
            scheduled[t].in <== word[t];
        } else {
            early[t] = Sigma(7, 18, 3, 1);
            early[t].in <== w[t - 15];
            late[t] = Sigma(17, 19, 10, 1);
            late[t].in <== w[t - 2];
            scheduled[t] = Num2Bits(34); // four words
            scheduled[t].in <== wordOf(late[t].out) + wordOf(w[t - 7]) + wordOf(early[t].out) + wordOf(w[t - 16]);
        }
        for (var i = 0; i < 32; i++) w[t][i] <== scheduled[t].out[i];

        sigmaE[t] = Sigma(6, 11, 25, 0);
        sigmaE[t].in <== e[t + 3];
        sigmaA[t] = Sigma(2, 13, 22, 0);
        sigmaA[t].in <== a[t + 3];
        for (var i = 0; i < 32; i++) {
            choice[t][i] <== e[t + 3][i] * (e[t + 2][i] - e[t + 1][i]) + e[t + 1][i];
            pair[t][i] <== a[t + 2][i] * a[t + 1][i];
            majority[t][i] <== a[t + 3][i] * (a[t + 2][i] + a[t + 1][i] - 2 * pair[t][i]) + pair[t][i];
        }
        var first = wordOf(e[t]) + wordOf(sigmaE[t].out) + wordOf(choice[t]) + K[t] + wordOf(w[t]);
        newE[t] = Num2Bits(35); // six words
        newE[t].in <== first + wordOf(a[t]);
        newA[t] = Num2Bits(35); // seven words
        newA[t].in <== first + wordOf(sigmaA[t].out) + wordOf(majority[t]);
        for (var i = 0; i < 32; i++) {
            e[t + 4][i] <== newE[t].out[i];
            a[t + 4][i] <== newA[t].out[i];
        }
    }

    component sum[8];
    for (var i = 0; i < 8; i++) {
        sum[i] = Num2Bits(33);
        sum[i].in <== wordOf(state[i]) + wordOf(i < 4 ? a[STEPS + 3 - i] : e[STEPS + 7 - i]);
        for (var j = 0; j < 32; j++) out[i][j] <== sum[i].out[j];
    }
}

// `out` is the state at the end as two numbers of 128 bits, in the digest's order.
template Sha256Steps(STEPS) {
    var blocks = (STEPS + 63) \ 64;
    var rest = STEPS - 64 * (blocks - 1);
    var lastWords = rest < 16 ? rest : 16;
    signal input word[16 * (blocks - 1) + lastWords];
    signal output out[2];

    var initial[8] = sha256InitialState();
    component block[blocks];
    for (var n = 0; n < blocks; n++) {
        var last = n == blocks - 1;
        block[n] = Sha256Block(last ? rest : 64);
        for (var i = 0; i < 8; i++) {
            for (var j = 0; j < 32; j++) {
                if (n == 0) block[n].state[i][j] <== (initial[i] >> j) & 1;
                else block[n].state[i][j] <== block[n - 1].out[i][j];
            }
        }
        for (var i = 0; i < (last ? lastWords : 16); i++) block[n].word[i] <== word[16 * n + i];
    }
    for (var half = 0; half < 2; half++) {
        var packed = 0;
        for (var i = 0; i < 4; i++) packed = packed * (1 << 32) + wordOf(block[blocks - 1].out[4 * half + i]);
        out[half] <== packed;
    }
}
