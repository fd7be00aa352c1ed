pragma circom 2.2.3;

// Forces the slots from `count` on to zero: padding[i] = 0 for every i >= count.
//
// One-hot over the N + 1 possible counts: a wrong hint violates (i - count) * here[i] = 0, or the sum. No solution
// exists for a count outside 0..N, so this is the range check of count as well. 2 N + 2 rows.
//
// Not enforced: anything about the slots below count; a zero there is as good as any value.
template ZeroFrom(N) {
    signal input count;
    signal input slot[N];

    signal here[N + 1];
    var absent = 0;
    for (var i = 0; i <= N; i++) {
        here[i] <-- i == count ? 1 : 0;
        (i - count) * here[i] === 0;
        absent += here[i];
        if (i < N) absent * slot[i] === 0;
    }
    absent === 1;
}
