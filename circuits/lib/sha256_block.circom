pragma circom 2.2.3;

include "sha256_choose.circom";
include "sha256_constants.circom";
include "sha256_majority.circom";
include "sha256_sigma.circom";
include "sha256_sum.circom";

// SHA-256's compression function (FIPS 180-4, section 6.2) on bits, lowest first in each word.
//
// Words that enter sums only are never bits of their own: a sum's bits are the only wires of a round beside the products of
// its Boolean functions. 26,600 rows.
//
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
