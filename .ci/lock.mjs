// Completes package-lock.json after an `npm install` on a registry that serves only this platform's optional
// packages. npm leaves the others out of the lock and then refuses it ("Missing: … from lock file"), here and on the
// platforms concerned. A stub with name, version, os and cpu is enough for npm to skip or fetch each of them.
//
//     node .ci/lock.mjs          writes the stubs
//     node .ci/lock.mjs --check  exits 1 if any is missing
import { readFileSync, writeFileSync } from "node:fs";

const CPUS = {
  x64: "x64",
  arm64: "arm64",
  ia32: "ia32",
  ppc64: "ppc64",
  riscv64: "riscv64",
  s390x: "s390x",
  arm: "arm",
};
const SYSTEMS = ["android", "darwin", "freebsd", "linux", "openharmony", "win32"];

const lock = JSON.parse(readFileSync("package-lock.json", "utf8"));
const added = [];
for (const [parent, entry] of Object.entries(lock.packages)) {
  for (const [name, version] of Object.entries(entry.optionalDependencies ?? {})) {
    if (lock.packages[`node_modules/${name}`] || lock.packages[`${parent}/node_modules/${name}`]) continue;
    if (!/^\d/.test(version)) throw new Error(`${parent} wants ${name} at the range ${version}: add it by hand`);
    const words = name.split(/[/-]/);
    const os = SYSTEMS.find((s) => words.includes(s));
    const cpu = CPUS[words.find((w) => w in CPUS)];
    const stub = { version, optional: true };
    if (entry.dev) stub.dev = true;
    if (cpu) stub.cpu = [cpu];
    if (os) stub.os = [os];
    if (!os && !cpu) throw new Error(`${name}: no platform in the name, add it by hand`);
    lock.packages[`node_modules/${name}`] = stub;
    added.push(`${name}@${version}`);
  }
}
if (added.length > 0) {
  if (process.argv.includes("--check")) {
    console.error(`package-lock.json lacks ${added.length} optional packages: run node .ci/lock.mjs`);
    process.exit(1);
  }
  const sorted = Object.fromEntries(Object.entries(lock.packages).sort(([a], [b]) => (a < b ? -1 : 1)));
  writeFileSync("package-lock.json", `${JSON.stringify({ ...lock, packages: sorted }, null, 2)}\n`);
}
console.log(`package-lock.json: ${added.length} stubs added`);
