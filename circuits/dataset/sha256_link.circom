pragma circom 2.2.3;

include "../lib/hash_chain.circom";
include "../lib/nonzero.circom";
include "../lib/num2bits.circom";
include "../lib/poseidon16.circom";
include "../lib/sha256_block.circom";
include "layout.circom";

// "The record behind `record` is whole, its data are `length` bytes, and their SHA-256 is high ‖ low, 128 bits each": ties a
// dataset's commitment to the digest that everybody else uses. `record` is the salted digest of the record's description, as
// an opening shows it to stand under a root.
//
// BLOCKS is how many blocks of 64 bytes SHA-256 is made for: data of up to 64 * BLOCKS - 9 bytes. The data are bytes, text or
// u8; the record is not a part of a longer one.
//
// Public, in this order: record, high, low, length, context. 27,500 rows a block, of which SHA-256 has 26,600.
//
// Not enforced: that the description stands under any root (opening.circom shows that), and that its `blocks` is the smallest
// number that holds the data, which only decides how many zeros are hashed after them.
template DatasetSha256(BLOCKS) {
    assert(BLOCKS >= 1 && BLOCKS <= 128); // of the parameter, at compile time; `size` has 13 bits
    signal input record;
    signal input high;
    signal input low;
    signal input length;
    signal input context;

    var MOST = 64 * BLOCKS - 9;
    var ELEMENTS = (MOST + 30) \ 31;
    var STEPS = (ELEMENTS + 14) \ 15;
    var BYTES = 31 * ELEMENTS;

    signal input description[14];
    signal input salt;
    signal input element[ELEMENTS];

    component bound = NonZero();
    bound.in <== context;

    component digest = HashChain(recordTag(), 14);
    digest.start <== salt;
    digest.in <== description;
    digest.out === record;

    // kind: version, dtype and so on, a byte each from the lowest. dtype is 0, 1 or 2.
    component kind = Num2Bits(64);
    kind.in <== description[0];
    var others = 0;
    for (var i = 10; i < 16; i++) others += kind.out[i];
    others === 0;
    kind.out[8] * kind.out[9] === 0;
    // The context is not zero, so what is multiplied by it is zero: a row of its own in circuits of every size.
    (description[1] - length) * context === 0;
    (description[8] - (1 << 32)) * context === 0; // part 0 of 1

    // Bytes, highest first in an element; those from `length` on are 0.
    signal bit[BYTES][8];
    signal before[BYTES];
    var total = 0;
    for (var p = 0; p < BYTES; p++) {
        before[p] <-- p < length ? 1 : 0;
        before[p] * (before[p] - 1) === 0;
        if (p > 0) before[p] * (1 - before[p - 1]) === 0;
        total += before[p];
        var value = 0;
        for (var i = 0; i < 8; i++) {
            bit[p][i] <-- (element[p \ 31] >> (8 * (30 - p % 31) + i)) & 1;
            bit[p][i] * (bit[p][i] - 1) === 0;
            value += bit[p][i] * (1 << i);
        }
        (1 - before[p]) * value === 0;
    }
    total === length;
    for (var k = 0; k < ELEMENTS; k++) {
        var value = 0;
        for (var p = 0; p < 31; p++) {
            for (var i = 0; i < 8; i++) value += bit[31 * k + p][i] * (1 << (8 * (30 - p) + i));
        }
        value === element[k];
    }

    // The content's chain, as many steps as the description says; they hold all bytes.
    signal taken[STEPS];
    signal at[STEPS + 1];
    component step[STEPS];
    at[0] <== contentStart();
    var steps = 0;
    for (var s = 0; s < STEPS; s++) {
        taken[s] <-- s < description[2] ? 1 : 0;
        taken[s] * (taken[s] - 1) === 0;
        if (s > 0) taken[s] * (1 - taken[s - 1]) === 0;
        steps += taken[s];
        step[s] = Poseidon16();
        step[s].capacity <== chainTag();
        step[s].in[0] <== at[s];
        for (var j = 0; j < 15; j++) {
            if (15 * s + j < ELEMENTS) step[s].in[j + 1] <== element[15 * s + j];
            else step[s].in[j + 1] <== 0;
        }
        at[s + 1] <== at[s] + taken[s] * (step[s].out - at[s]);
    }
    (steps - description[2]) * context === 0;
    at[STEPS] === description[6];
    component room = Num2Bits(9);
    room.in <== 465 * description[2] - length;

    // Which block is the last: the one that holds the marker and the length.
    signal last[BLOCKS];
    var ones = 0;
    var number = 0;
    for (var b = 0; b < BLOCKS; b++) {
        last[b] <-- (length + 8) \ 64 == b ? 1 : 0;
        last[b] * (last[b] - 1) === 0;
        ones += last[b];
        number += b * last[b];
    }
    (ones - 1) * context === 0;
    component rest = Num2Bits(6);
    rest.in <== length + 8 - 64 * number;
    component size = Num2Bits(13);
    size.in <== length;

    component block[BLOCKS];
    signal sized[BLOCKS][13];
    signal marked[BLOCKS][64];
    signal ended[BLOCKS][11];
    signal picked[BLOCKS][8];
    var START[8] = sha256Start();
    var word[8];
    for (var j = 0; j < 8; j++) word[j] = 0;
    for (var b = 0; b < BLOCKS; b++) {
        block[b] = Sha256Block();
        for (var j = 0; j < 8; j++) {
            for (var i = 0; i < 32; i++) {
                if (b == 0) block[0].state[j][i] <== (START[j] >> i) & 1;
                else block[b].state[j][i] <== block[b - 1].out[j][i];
            }
        }
        for (var i = 0; i < 13; i++) sized[b][i] <== last[b] * size.out[i];
        var n = 0;
        for (var k = 0; k < 64; k++) {
            var p = 64 * b + k;
            for (var i = 0; i < 8; i++) {
                var w = k \ 4;
                var j = 8 * (3 - k % 4) + i;
                // The marker, a one after the last byte, is the highest bit of its byte.
                if (i == 7) {
                    var mark = 0;
                    if (p < BYTES) mark += bit[p][7];
                    if (p <= MOST) {
                        mark += p > 0 ? before[p - 1] : 1;
                        if (p < BYTES) mark -= before[p];
                    }
                    if (w == 15 && j >= 3 && j < 16) mark += sized[b][j - 3];
                    marked[b][k] <== mark;
                    block[b].message[w][j] <== marked[b][k];
                } else if (w == 15 && j >= 3 && j < 16) {
                    var end = sized[b][j - 3];
                    if (p < BYTES) end += bit[p][i];
                    ended[b][n] <== end;
                    block[b].message[w][j] <== ended[b][n];
                    n++;
                } else if (p < BYTES) block[b].message[w][j] <== bit[p][i];
                else block[b].message[w][j] <== 0;
            }
        }
        for (var j = 0; j < 8; j++) {
            var value = 0;
            for (var i = 0; i < 32; i++) value += block[b].out[j][i] * (1 << i);
            picked[b][j] <== last[b] * value;
            word[j] += picked[b][j];
        }
    }
    word[0] * (1 << 96) + word[1] * (1 << 64) + word[2] * (1 << 32) + word[3] === high;
    word[4] * (1 << 96) + word[5] * (1 << 64) + word[6] * (1 << 32) + word[7] === low;
}
