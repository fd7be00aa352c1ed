pragma circom 2.2.3;

// out[j] = ENTRIES[index * WIDTH + j]: row `index` of a constant matrix of ROWS rows. ROWS + 2 rows, and a linear one
// an output.
//
// A hint marks one row: bits that sum to 1 and, each times its number, to `index`. So there is one solution, and none
// for an index that is not in 0..ROWS - 1.
//
// Not enforced: anything about the entries. The writer of the circuit keeps them within integers that do not leave the
// field in what comes after (src/model/bounds.ts).
template LookupRow(ROWS, WIDTH, ENTRIES) {
    assert(ROWS >= 2); // on the parameter, when the circuit is compiled
    signal input index;
    signal output out[WIDTH];

    signal mark[ROWS];
    var marks = 0;
    var marked = 0;
    for (var i = 0; i < ROWS; i++) {
        mark[i] <-- index == i;
        mark[i] * (mark[i] - 1) === 0;
        marks += mark[i];
        marked += mark[i] * i;
    }
    marks === 1;
    marked === index;

    for (var j = 0; j < WIDTH; j++) {
        var sum = 0;
        for (var i = 0; i < ROWS; i++) sum += ENTRIES[i * WIDTH + j] * mark[i];
        out[j] <== sum;
    }
}
