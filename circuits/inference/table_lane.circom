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

// out = TABLE[in - LO], a table of 2^BITS constants. At most 45 rows for 8 bits, 29 for 7, 21, 13, 9, 5, 3 and 2 for 6
// to 1 bits; fewer where the table is regular.
//
// How: `in - LO` is split into bits, the highest one being what the others leave, and the bits into a lower half l and
// an upper half h. With T the table's two-dimensional form and D(h, l) = T(h, l) - T(h, 0) - T(0, l) + T(0, 0),
//
//     out = T(0, l) + (T(h, 0) - T(0, 0)) + D(h, l).
//
// Any function of l is a linear form of products of its bits, 11 rows for 4 bits, and so is any function of h. Only D
// mixes them: it is the sum, over the different rows d of D that are not zero, of [D(h, .) = d] * d(l), a product each.
// There are 15 at most; where the table is flat or has one slope, rows of D are zero or equal, and products of bits
// that no form needs are left out too.
//
// Enforced: LO <= in < LO + 2^BITS. An `in` outside has no witness.
//
// Not enforced: anything about the entries. The writer of the circuit keeps them within integers that do not leave the
// field in what comes after (src/model/bounds.ts).
template TableLane(BITS, LO, TABLE) {
    assert(BITS >= 1 && BITS <= 8); // on the parameter, when the circuit is compiled
    signal input in;
    signal output out;

    // No array of this template has length 0: circom 2.2.3 crashes on that where an array of components holds different
    // instances. What no row mentions is no wire.
    signal bits[BITS > 1 ? BITS - 1 : 1];
    var bit[8];
    var rest = in - LO;
    for (var i = 0; i < BITS - 1; i++) {
        bits[i] <-- ((in - LO) >> i) & 1;
        bits[i] * (bits[i] - 1) === 0;
        bit[i] = bits[i];
        rest -= bits[i] * (1 << i);
    }
    bit[BITS - 1] = rest / (1 << (BITS - 1));
    bit[BITS - 1] * (bit[BITS - 1] - 1) === 0;

    // From here to the signals: constants of the table, computed when the circuit is compiled.
    var LOW = (BITS + 1) \ 2;
    var WIDTH = 1 << LOW;
    var HEIGHT = 1 << (BITS - LOW);
    var row[16]; // 0 where D(h, .) is zero, else 1 plus the number of its product
    var first[16]; // of each product, the first h that takes it
    var products = 0;
    for (var h = 1; h < HEIGHT; h++) {
        var zero = 1;
        for (var l = 1; l < WIDTH; l++) {
            if (TABLE[h * WIDTH + l] - TABLE[h * WIDTH] != TABLE[l] - TABLE[0]) zero = 0;
        }
        for (var g = 0; g < products && !zero && row[h] == 0; g++) {
            var equal = 1;
            for (var l = 1; l < WIDTH; l++) {
                if (TABLE[h * WIDTH + l] - TABLE[h * WIDTH] != TABLE[first[g] * WIDTH + l] - TABLE[first[g] * WIDTH]) equal = 0;
            }
            if (equal) row[h] = g + 1;
        }
        if (!zero && row[h] == 0) {
            first[products] = h;
            products++;
            row[h] = products;
        }
    }

    // Of the forms of l: T(0, .) and every d. Of those of h: T(., 0) - T(0, 0) and every [D(h, .) = d].
    var ofLow[16][16];
    var ofHigh[16][16];
    var usesLow[16];
    var usesHigh[16];
    for (var g = 0; g <= products; g++) {
        var values[16];
        for (var l = 0; l < WIDTH; l++) {
            values[l] = TABLE[l];
            if (g > 0) {
                var h = first[g - 1];
                values[l] = TABLE[h * WIDTH + l] - TABLE[h * WIDTH] - TABLE[l] + TABLE[0];
            }
        }
        ofLow[g] = multilinear(values);
        for (var s = 0; s < WIDTH; s++) {
            if (ofLow[g][s] != 0) usesLow[s] = 1;
        }
        var heights[16];
        for (var h = 0; h < HEIGHT; h++) {
            heights[h] = g == 0 ? TABLE[h * WIDTH] - TABLE[0] : row[h] == g;
        }
        ofHigh[g] = multilinear(heights);
        for (var s = 0; s < HEIGHT; s++) {
            if (ofHigh[g][s] != 0) usesHigh[s] = 1;
        }
    }
    // A product of three bits or more is made from the one without its highest bit.
    var lowProducts = 0;
    for (var s = WIDTH - 1; s > 0; s--) {
        var below = s - highestBit(s);
        if (usesLow[s] && below != 0) {
            usesLow[below] = 1;
            lowProducts++;
        }
    }
    var highProducts = 0;
    for (var s = HEIGHT - 1; s > 0; s--) {
        var below = s - highestBit(s);
        if (usesHigh[s] && below != 0) {
            usesHigh[below] = 1;
            highProducts++;
        }
    }

    signal low[lowProducts > 0 ? lowProducts : 1];
    signal high[highProducts > 0 ? highProducts : 1];
    var l[16]; // the products of bits of the lower half
    var h[16];
    l[0] = 1;
    h[0] = 1;
    var next = 0;
    var top = 0;
    for (var s = 1; s < WIDTH; s++) {
        if (s == 2 << top) top++;
        var below = s - (1 << top);
        if (below == 0) l[s] = bit[top];
        else if (usesLow[s]) {
            low[next] <== l[below] * bit[top];
            l[s] = low[next];
            next++;
        }
    }
    next = 0;
    top = 0;
    for (var s = 1; s < HEIGHT; s++) {
        if (s == 2 << top) top++;
        var below = s - (1 << top);
        if (below == 0) h[s] = bit[LOW + top];
        else if (usesHigh[s]) {
            high[next] <== h[below] * bit[LOW + top];
            h[s] = high[next];
            next++;
        }
    }

    var sum = 0;
    for (var s = 0; s < WIDTH; s++) {
        if (usesLow[s]) sum += ofLow[0][s] * l[s];
    }
    for (var s = 1; s < HEIGHT; s++) {
        if (usesHigh[s]) sum += ofHigh[0][s] * h[s];
    }
    signal mixed[products > 1 ? products - 1 : 1];
    for (var g = 1; g <= products; g++) {
        var d = 0;
        for (var s = 0; s < WIDTH; s++) {
            if (usesLow[s]) d += ofLow[g][s] * l[s];
        }
        var is = 0;
        for (var s = 0; s < HEIGHT; s++) {
            if (usesHigh[s]) is += ofHigh[g][s] * h[s];
        }
        if (g < products) {
            mixed[g - 1] <== is * d;
            sum += mixed[g - 1];
        } else sum += is * d;
    }
    out <== sum;
}
