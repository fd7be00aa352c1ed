pragma circom 2.2.3;

// Capacities and starts of src/dataset/layout.ts, which says what they are for: ASCII as big-endian integers.

function chainTag() { return 0x61705f636861696e; }   // "ap_chain"
function nodeTag() { return 0x61705f6e6f6465; }      // "ap_node"
function rootTag() { return 0x61705f726f6f74; }      // "ap_root"
function stateTag() { return 0x61705f7374617465; }   // "ap_state"
function recordTag() { return 0x61705f7265636f72; }  // "ap_recor"

function contentStart() { return 0x636f6e74656e74; } // "content"
function chunkStart() { return 0x6368756e6b; }       // "chunk"
function cellsStart() { return 0x63656c6c73; }       // "cells"
function claimStart() { return 0x636c61696d; }       // "claim"
