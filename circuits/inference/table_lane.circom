pragma circom 2.2.3;

// Coefficients of the polynomial, linear in each of its four variables, that takes `values[i]` where the variables are
// the bits of i: coefficient s belongs to the product of the bits that are set in s.
function multilinear(values) {
    for (var step = 1; step < 16; step *= 2) {
        for (var s = 0; s < 16; s++) {
            if (s & step) values[s] -= values[s - step];
        }
    }
    return values;
}

// The largest power of two in s, which is not 0.
function highestBit(s) {
    var top = 1;
    while (2 * top <= s) top *= 2;
    return top;
}

// out = TABLE[in - MIN], a table of COUNT constants. At most 45 rows for 256 entries, 29, 21, 13, 9, 5 and 3 for 128, 64,
// 32, 16, 8 and 4; fewer where the table is regular, one where it is a straight line, and none where it is constant or
// the identity.
//
// How: `in - MIN` is split into bits, the highest one being what the others leave, and the bits into a lower half l and
// an upper half h. With T the table in two dimensions and D(h, l) = T(h, l) - T(h, 0) - T(0, l) + T(0, 0),
//
//     out = T(0, l) + (T(h, 0) - T(0, 0)) + D(h, l).
//
// Any function of l is a linear form of products of its bits, which take 11 rows for 4 bits, and so is any function of
// h. Only D mixes them: it is the sum, over the different rows d of D that are not zero, of [D(h, .) = d] * d(l), a
// product each. There are 15 at most; where the table is flat or has one slope, rows of D are zero or equal. Products of
// bits that no form needs are left out.
//
// (A polynomial of degree 255 over the field takes fewer rows, but fills all three matrices with wires of full size, and
// proving takes longer for it. All wires here are bits, or entries.)
//
// Requires, and does not enforce: MIN <= in < MIN + COUNT, which the writer of the circuit proves by interval analysis
// (src/model/bounds.ts). Where `in` is split, a number that does not fit its bits has no witness.
template TableLane(COUNT, MIN, TABLE) {
    assert(COUNT >= 1 && (COUNT - 1) >> 8 <= 0); // on the parameter, when compiled: at most 8 bits
    signal input in;
    signal output out;

    var BITS = 1;
    while (1 << BITS < COUNT) BITS++;
    var LOW = (BITS + 1) \ 2;
    var WIDTH = 1 << LOW;
    var HEIGHT = 1 << (BITS - LOW);

    var slope = COUNT == 1 ? 0 : TABLE[1] - TABLE[0];
    var straight = 1;
    for (var x = 0; x < COUNT; x++) {
        if (TABLE[x] != TABLE[0] + slope * x) straight = 0;
    }
    if (straight) out <== TABLE[0] + slope * (in - MIN);
    else {
        // From here to the signals: constants of the table, computed when the circuit is compiled. Its last entry is
        // repeated where COUNT is no power of two.
        var T[16][16];
        for (var x = 0; x < 1 << BITS; x++) T[x \ WIDTH][x % WIDTH] = TABLE[x < COUNT ? x : COUNT - 1];
        var taken[16]; // of each h, the number of its row of D: 0 for a row of zeros
        var first[16]; // of each number, the first h that has it
        var products = 0;
        for (var h = 1; h < HEIGHT; h++) {
            // h = 0 has the row of zeros, as first[0] = 0 says.
            var found = 0;
            for (var g = 0; g <= products; g++) {
                var equal = 1;
                for (var l = 1; l < WIDTH; l++) {
                    if (T[h][l] - T[h][0] != T[first[g]][l] - T[first[g]][0]) equal = 0;
                }
                if (equal) {
                    taken[h] = g;
                    found = 1;
                }
            }
            if (!found) {
                products++;
                taken[h] = products;
                first[products] = h;
            }
        }
        // Number 0 stands for what is no product: T(0, .) of l, T(., 0) - T(0, 0) of h.
        var ofLow[16][16];
        var ofHigh[16][16];
        var usesLow[16];
        var usesHigh[16];
        for (var g = 0; g <= products; g++) {
            var lows[16];
            var highs[16];
            for (var l = 0; l < WIDTH; l++) {
                lows[l] = T[first[g]][l];
                if (g > 0) lows[l] += T[0][0] - T[0][l] - T[first[g]][0];
            }
            for (var h = 0; h < HEIGHT; h++) highs[h] = g == 0 ? T[h][0] - T[0][0] : taken[h] == g;
            ofLow[g] = multilinear(lows);
            ofHigh[g] = multilinear(highs);
            for (var s = 1; s < 16; s++) {
                if (s < WIDTH && ofLow[g][s] != 0) usesLow[s] = 1;
                if (s < HEIGHT && ofHigh[g][s] != 0) usesHigh[s] = 1;
            }
        }
        // A product of bits is that of the others and the highest one.
        var lowProducts = 0;
        var highProducts = 0;
        for (var s = 15; s > 0; s--) {
            var others = s - highestBit(s);
            if (others != 0 && usesLow[s]) {
                usesLow[others] = 1;
                lowProducts++;
            }
            if (others != 0 && usesHigh[s]) {
                usesHigh[others] = 1;
                highProducts++;
            }
        }

        signal bits[BITS - 1];
        var bit[8];
        var rest = in - MIN;
        for (var i = 0; i < BITS - 1; i++) {
            bits[i] <-- ((in - MIN) >> i) & 1;
            bits[i] * (bits[i] - 1) === 0;
            bit[i] = bits[i];
            rest -= bits[i] * (1 << i);
        }
        rest * (rest - (1 << (BITS - 1))) === 0;
        bit[BITS - 1] = rest / (1 << (BITS - 1));

        // Not of length 0: circom 2.2.3 crashes on that where an array holds different instances of a template. What no
        // row mentions is no wire.
        signal low[lowProducts > 0 ? lowProducts : 1];
        signal high[highProducts > 0 ? highProducts : 1];
        signal mixed[products > 1 ? products - 1 : 1];
        var l[16]; // the products of bits
        var h[16];
        l[0] = 1;
        h[0] = 1;
        var next = 0;
        var top = 0;
        for (var s = 1; s < WIDTH; s++) {
            if (s == 2 << top) top++;
            var others = s - (1 << top);
            if (others == 0) l[s] = bit[top];
            else if (usesLow[s]) {
                low[next] <== l[others] * bit[top];
                l[s] = low[next];
                next++;
            }
        }
        next = 0;
        top = 0;
        for (var s = 1; s < HEIGHT; s++) {
            if (s == 2 << top) top++;
            var others = s - (1 << top);
            if (others == 0) h[s] = bit[LOW + top];
            else if (usesHigh[s]) {
                high[next] <== h[others] * bit[LOW + top];
                h[s] = high[next];
                next++;
            }
        }

        var sum = 0;
        for (var g = 0; g <= products; g++) {
            var d = 0;
            for (var s = 0; s < WIDTH; s++) {
                if (ofLow[g][s] != 0) d += ofLow[g][s] * l[s];
            }
            var is = 0;
            for (var s = 0; s < HEIGHT; s++) {
                if (ofHigh[g][s] != 0) is += ofHigh[g][s] * h[s];
            }
            if (g == 0) sum = d + is;
            else if (g == products) sum += is * d;
            else {
                mixed[g - 1] <== is * d;
                sum += mixed[g - 1];
            }
        }
        out <== sum;
    }
}
