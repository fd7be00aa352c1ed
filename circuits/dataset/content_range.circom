pragma circom 2.2.3;

// What N steps of a run over contents (content_run.circom) take in, as numbers of W bytes: all of them lie in [min, max], as
// many as the record's length says, with zeros after the last, in records that are all of one kind.
//
// An element holds PER = 31 \ W numbers, the first one highest. In an absorbing step, full[e] is 1 for the elements whose
// numbers are all real: the first ones, and of all steps before a record's last, all fifteen. The element after them may be
// real in part, and those after that are zero. The part is handed on, in `tail`, to the record's own step, which has nothing to
// take apart otherwise: some[j] is 1 for the numbers of it that are real, and the others are zero.
//
// A state is, in this order
//
//     elements  full elements of the content whose record comes next
//     tail      the element behind them
//     left      1 where there is such an element: where the last step had one that was not full. No step absorbs then.
//               2 where no element of that step was full. Then some number of it is real, so that no step is all padding, and
//               data of one length has one content.
//
// With EXACT, max - min is 2^K - 1, and K bits of `number - min` are all that a number costs. Without, as many show that it is
// at most max - min.
//
// Rows: (1 or 2) * K a number, 70 a step and 2 * PER - 1.
//
// Not enforced: that min <= max < 2^(8 W), and that W is the size of what `kind` says: those are public, and whoever verifies
// checks them. Where max < 2^(8 W), numbers of [min, max] do not reach into each other, and elements are below
// 2^248: an element has no second decomposition. That `absorb` and `record` are bits, never both: content_run.circom does
// that.
template ContentRange(N, W, K, EXACT) {
    assert(W == 1 || W == 2 || W == 4 || W == 8); // of the parameters, at compile time; not constraints
    assert(K >= 1 && K <= 64);
    assert(K <= 8 * W);
    var PER = 31 \ W;
    var OTHERS = K > 1 ? K - 1 : 1; // circom does not take an array of length 0

    signal input absorb[N];
    signal input record[N];
    signal input in[N][15];
    signal input full[N][15];
    signal input some[N][PER - 1];
    signal input kind;
    signal input min;
    signal input max;
    signal input state[3];
    signal output next[3];

    signal bit[N][15][PER][K];
    signal above[N][15][PER][OTHERS];
    signal behind[N][15];
    signal used[N];
    signal elements[N + 1];
    signal spent[N];
    signal tail[N + 1];
    signal open[N];
    signal left[N + 1];
    signal low[N];

    var weight[PER];
    var ones = 0;
    for (var j = 0; j < PER; j++) {
        weight[j] = 1 << (8 * W * (PER - 1 - j));
        ones += weight[j];
    }
    if (EXACT) max - min === (1 << K) - 1;

    elements[0] <== state[0];
    tail[0] <== state[1];
    left[0] <== state[2];
    for (var i = 0; i < N; i++) {
        // Which elements are full: bits, none after a 0, and none where nothing is absorbed.
        var was = absorb[i];
        var count = 0;
        var more = 0;
        for (var e = 0; e < 15; e++) {
            full[i][e] * (full[i][e] - was) === 0;
            if (e > 0) (absorb[i] - was) * in[i][e] === 0;
            behind[i][e] <== (absorb[i] - full[i][e]) * in[i][e];
            more += behind[i][e];
            count += full[i][e];
            was = full[i][e];
        }

        // What is left for the record's step. Where one absorbs, there was nothing: left is 0, and so is the tail.
        absorb[i] * left[i] === 0;
        open[i] <== record[i] * left[i];
        left[i + 1] <== left[i] - open[i] + 2 * absorb[i] - full[i][0] - full[i][14];
        spent[i] <== (absorb[i] + record[i]) * tail[i];
        tail[i + 1] <== tail[i] - spent[i] + more;
        // Of what is left, the first number is real where it must be (2) and may be where there is something (1).
        (open[i] - some[i][0]) * (open[i] - some[i][0] - 1) === 0;
        var real = 1;
        var reals = 0;
        var places = 0;
        for (var j = 0; j < PER - 1; j++) {
            some[i][j] * (some[i][j] - real) === 0;
            real = some[i][j];
            reals += real;
            places += real * weight[j];
        }
        low[i] <== min * places;

        for (var e = 0; e < 15; e++) {
            // Of the first element's numbers, those that are real in a record's step are real by `some`.
            var whole = in[i][e] * full[i][e];
            if (e == 0) whole += spent[i];
            var sum = 0;
            for (var j = 0; j < PER; j++) {
                var isReal = full[i][e];
                var isPadding = 0;
                if (e == 0) {
                    isPadding = record[i];
                    if (j < PER - 1) {
                        isReal += some[i][j];
                        isPadding -= some[i][j];
                    }
                }
                var over = ((whole >> (8 * W * (PER - 1 - j))) & ((1 << (8 * W)) - 1)) - isReal * min;
                var number = 0;
                for (var b = 0; b < K; b++) {
                    bit[i][e][j][b] <-- (over >> b) & 1;
                    bit[i][e][j][b] * (bit[i][e][j][b] - 1) === 0;
                    number += bit[i][e][j][b] * (1 << b);
                }
                sum += number * weight[j];
                if (e == 0) isPadding * number === 0;
                if (!EXACT) {
                    var under = max - min - over;
                    var rest = max - min - number;
                    for (var b = 0; b < K - 1; b++) {
                        above[i][e][j][b] <-- (under >> b) & 1;
                        above[i][e][j][b] * (above[i][e][j][b] - 1) === 0;
                        rest -= above[i][e][j][b] * (1 << b);
                    }
                    rest * (rest - (1 << (K - 1))) === 0;
                }
            }
            var handed = 0;
            if (e == 0) handed = spent[i] - low[i];
            full[i][e] * (in[i][e] - min * ones) === sum - handed;
        }

        record[i] * (in[i][0] - kind) === 0;
        used[i] <== record[i] * elements[i];
        elements[i + 1] <== elements[i] - used[i] + count;
        record[i] * in[i][1] === PER * used[i] + reals;
    }
    next[0] <== elements[N];
    next[1] <== tail[N];
    next[2] <== left[N];
}
