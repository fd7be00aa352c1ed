pragma circom 2.2.3;

include "../lib/poseidon16.circom";
include "../lib/range_check.circom";
include "dataset_root.circom";

// N steps of the run over all contents and records of a dataset, in order: from one state to the next.
//
// A state is, in this order
//
//     chunks    chunks that are closed
//     inChunk   records of the open chunk, below 2^CHUNK_BITS
//     chunk     its chain so far
//     content   the chain so far of the content whose record comes next
//     own       steps of that
//     records, blocks, values
//               records, steps of contents and sum of lengths so far
//
// A step is one permutation. `absorb` takes fifteen elements into `content`. `record` takes a description and its blinding
// value into `chunk`: the description's content must be the state's, its blocks must be the state's own, and both begin anew.
// A step that is neither does nothing; all steps after it do nothing either.
//
// `close`, 1 at one record at most, ends the chunk behind that record, which is its 2^CHUNK_BITS-th or the last one of the
// dataset. What the chunk's chain has come to must stand at `chunks` under the root. Where no chunk is closed, chunkRoot is
// whatever stands there, so that opening is the root's in every case.
//
// A chunk cannot be left open with 2^CHUNK_BITS records, nor grow beyond: inChunk is in range after every run, and so is the
// closing record's place. With those of a public first state, all counts are sums of at most N a run, which never come
// near the field's order.
//
// Rows: 626 a step, and the path.
//
// Not enforced: that lengths are those of contents, and that elements are below 2^248 (content_range.circom shows both): here
// `values` is a sum modulo r of what the descriptions say. That the last state is that of a whole run: whoever opens it
// compares it with the root's opening.
template ContentRun(N, DEPTH, CHUNK_BITS) {
    signal input root;
    signal input state[8];
    signal input absorb[N];
    signal input record[N];
    signal input close[N];
    signal input in[N][15];
    signal input chunkRoot;
    signal input group[DEPTH][16];
    signal input opening[4];
    signal output next[8];

    component step[N];
    signal first[N];
    signal closed[N];
    signal chunk[N + 1];
    signal renewed[N];
    signal content[N + 1];
    signal own[N + 1];
    signal length[N];
    signal place[N];

    chunk[0] <== state[2];
    content[0] <== state[3];
    own[0] <== state[4];
    var active = 1;
    var closes = 0;
    var closing = 0;
    var at = 0;
    var records = 0;
    var blocks = 0;
    var values = 0;
    for (var i = 0; i < N; i++) {
        // 0, or as it was: once it is 0 it stays so, and it is a bit. With it, so are the two that it is the sum of.
        var now = absorb[i] + record[i];
        now * (now - active) === 0;
        absorb[i] * record[i] === 0;
        close[i] * (record[i] - close[i]) === 0;
        active = now;

        first[i] <== chunk[i] + absorb[i] * (content[i] - chunk[i]);
        step[i] = Poseidon16();
        step[i].capacity <== chainTag();
        step[i].in[0] <== first[i];
        for (var j = 0; j < 15; j++) step[i].in[j + 1] <== in[i][j];

        closed[i] <== close[i] * step[i].out;
        chunk[i + 1] <== chunk[i] + record[i] * (step[i].out - chunk[i]) + close[i] * chunkStart() - closed[i];

        record[i] * (in[i][6] - content[i]) === 0;
        renewed[i] <== record[i] * (contentStart() - content[i]);
        content[i + 1] <== content[i] + renewed[i] + absorb[i] * (step[i].out - content[i]);

        record[i] * (in[i][2] - own[i]) === 0;
        own[i + 1] <== own[i] + absorb[i] - record[i] * own[i];
        length[i] <== record[i] * in[i][1];

        records += record[i];
        place[i] <== close[i] * records;
        closes += close[i];
        closing += closed[i];
        at += place[i];
        blocks += absorb[i];
        values += length[i];
    }
    closes * (closes - 1) === 0;
    closes * (chunkRoot - closing) === 0;

    // Of the closing record: its place in its chunk, from 1, and how many records come after it. 0 without one.
    signal filled <== closes * state[1] + at;
    signal behind <== closes * (opening[0] - state[5]) - at;
    (filled - (1 << CHUNK_BITS) * closes) * behind === 0;
    component fits = RangeCheck(0, CHUNK_BITS);
    fits.in <== filled - closes;

    next[0] <== state[0] + closes;
    next[1] <== state[1] + records - filled;
    next[2] <== chunk[N];
    next[3] <== content[N];
    next[4] <== own[N];
    next[5] <== state[5] + records;
    next[6] <== state[6] + blocks;
    next[7] <== state[7] + values;
    component room = RangeCheck(0, CHUNK_BITS);
    room.in <== next[1];

    component top = DatasetRoot(DEPTH);
    top.chunk <== chunkRoot;
    top.index <== state[0];
    top.group <== group;
    top.opening <== opening;
    top.root === root;
}
