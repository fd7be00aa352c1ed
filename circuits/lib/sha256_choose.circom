pragma circom 2.2.3;

// f where e is 1, g where it is 0: 1 row a bit.
template Sha256Choose() {
    signal input e[32];
    signal input f[32];
    signal input g[32];
    signal output out[32];

    for (var i = 0; i < 32; i++) out[i] <== e[i] * (f[i] - g[i]) + g[i];
}
