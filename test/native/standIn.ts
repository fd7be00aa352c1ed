import { execFileSync } from "node:child_process";
import { join } from "node:path";
import { PACKAGE_ROOT } from "../../src/paths.js";

/**
 * Compiles the stand-in for the GPU library; see stand-in.cpp.
 *
 * @param settings macros
 */
export function buildStandIn(folder: string, settings: Record<string, string | number> = {}): string {
  const macros = Object.entries(settings).map(([name, value]) => `-D${name}=${value}`);
  const library = join(folder, `stand-in${macros.join("")}.so`);
  const source = join(PACKAGE_ROOT, "test", "native", "stand-in.cpp");
  const flags = ["-std=c++17", "-shared", "-fPIC", "-Wall", "-Wextra", "-Werror"];
  const args = [...flags, "-I", join(PACKAGE_ROOT, "native", "src"), ...macros, source, "-o", library];
  // CXX may hold options.
  execFileSync("sh", ["-c", `\${CXX:-c++} "$@"`, "sh", ...args], { stdio: ["ignore", "inherit", "inherit"] });
  return library;
}
