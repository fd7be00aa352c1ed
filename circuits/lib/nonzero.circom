pragma circom 2.2.3;

// Forces a signal to be non-zero, by its inverse. Two rows at most: one product, and one if the caller passes an
// expression.
//
// Not enforced: anything else about the value. In a circuit whose `context` is public it makes a statement without a
// context unprovable, and gives the public signal a row of its own, so that no optimiser can drop it.
template NonZero() {
    signal input in;
    signal inverse <-- in != 0 ? 1 / in : 0;
    in * inverse === 1;
}
