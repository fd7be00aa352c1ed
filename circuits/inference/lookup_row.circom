pragma circom 2.2.3;

// out[j] = ENTRIES[index * WIDTH + j]: row `index` of a constant matrix of ROWS rows. With MIN <= index <= MAX proven it
// takes a row for each index in 0..ROWS - 1 that this leaves, two more, and a linear one for each output. None where one
// index is possible.
//
// A hint marks one row: bits that sum to 1 and, each times its number, to `index`. So there is one solution, and none
// for an index of ROWS or more.
//
// Requires, and does not enforce: 0 <= MIN <= index, and index <= MAX where MAX is below ROWS - 1; the writer of the
// circuit proves it by interval analysis (src/model/bounds.ts).
template LookupRow(ROWS, WIDTH, ENTRIES, MIN, MAX) {
    assert(ROWS >= 2 && MIN >= 0 && MIN <= MAX); // on parameters, when the circuit is compiled
    signal input index;
    signal output out[WIDTH];

    if (MIN == MAX && MAX < ROWS) {
        for (var j = 0; j < WIDTH; j++) out[j] <== ENTRIES[MIN * WIDTH + j];
    } else {
        // Two rows at least.
        var LAST = MAX < ROWS ? MAX : ROWS - 1;
        var FIRST = MIN < LAST ? MIN : LAST - 1;

        signal mark[LAST - FIRST + 1];
        var marks = 0;
        var place = 0;
        for (var i = 0; i <= LAST - FIRST; i++) {
            mark[i] <-- index == FIRST + i;
            mark[i] * (mark[i] - 1) === 0;
            marks += mark[i];
            place += mark[i] * (FIRST + i + 1);
        }
        marks === 1;
        place === index + 1; // counted from 1: of two rows, the second mark would else be the index itself and no wire

        for (var j = 0; j < WIDTH; j++) {
            var sum = 0;
            var same = 1;
            for (var i = 0; i <= LAST - FIRST; i++) {
                sum += ENTRIES[(FIRST + i) * WIDTH + j] * mark[i];
                if (ENTRIES[(FIRST + i) * WIDTH + j] != ENTRIES[FIRST * WIDTH + j]) same = 0;
            }
            if (same) out[j] <== ENTRIES[FIRST * WIDTH + j];
            else out[j] <== sum;
        }
    }
}
