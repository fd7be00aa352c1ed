#!/usr/bin/env bash
# Everything that needs a card, in one call on a machine that has nothing but the card, nvcc and g++: builds the core, the library,
# the unit programs and the harness (no Node), checks, times, runs compute-sanitizer, and prints a short table last.
#
#     bash native/cuda/run.sh             about eight minutes on 16 cores and one H100 or H200
#
# Environment:
#     OUT=out/cuda            logs and results, eight files; BUILD=out/cuda-build for what is compiled, kept between calls
#     STEPS="units check bench sanitizer"   which ones, in that order; the last not with EMULATED. BUILD_ONLY=1: none
#     QUICK=1                 smaller sizes, a third of the time
#     LIMIT=520               seconds for all of it: what finds no time left is left out, and said
#     DEVICE=0                which card, as nvidia-smi counts; ARCH=90 its architecture, where nvidia-smi does not tell
#     EMULATED=1              with g++ on the emulated card: for the script and the harness themselves; times mean nothing
#     SEED=1, JOBS, CXX, NVCC
#
# A step that fails does not end the others. The exit status is 0 when all of it ran and is well, 1 when something failed, 3 when
# nothing did but not all of it ran.
set -u
shopt -s nullglob
cd "$(dirname "$0")/../.." || exit 2
started=$SECONDS
OUT=${OUT:-out/cuda}
BUILD=${BUILD:-out/cuda-build}
QUICK=${QUICK:-0}
EMULATED=${EMULATED:-0}
[ "$EMULATED" = 1 ] && all="units check bench" || all="units check bench sanitizer"
STEPS=${STEPS-$all}
[ "${BUILD_ONLY:-0}" = 1 ] && STEPS=""
LIMIT=${LIMIT:-520}
DEVICE=${DEVICE:-0}
SEED=${SEED:-1}
JOBS=${JOBS:-$(nproc)}
CXX=${CXX:-g++}
NVCC=${NVCC:-$(command -v nvcc || echo /usr/local/cuda/bin/nvcc)}
mkdir -p "$OUT" "$BUILD" || exit 2
rm -rf "$BUILD/keys" "$BUILD"/*.log "$OUT"/{card.txt,build.log,units.log,check.log,bench.log,bench.json,bench.json.part,sanitizer.log,summary.txt}

# The sanitizer comes last, and the steps before it leave it time.
reserve=0
[[ " $STEPS " == *" sanitizer "* ]] && reserve=$((LIMIT / 4 < 100 ? LIMIT / 4 : 100))
elapsed() { echo $((SECONDS - started)); }
left() { echo $((LIMIT - reserve - SECONDS + started)); }

results=()
failed=0
not_run=""
# result NAME STATUS NOTE. Who is neither ok nor FAILED has not run, or not to the end.
result() {
  results+=("$(printf '%-12s %-8s %5d s  %s' "$1" "$2" "$(elapsed)" "$3")")
  echo "=== ${results[-1]}"
  case $2 in
    ok) ;;
    FAILED) failed=1 ;;
    PARTIAL) not_run+=", $1 in part" ;;
    *) not_run+=", $1" ;;
  esac
}

# Runs a command for at most so many seconds, and what the limit leaves. Sets $status: 124 when time was up, 125 when none was left;
# and $cut when the limit left less than was asked for.
timed() {
  local seconds=$1
  shift
  cut=0
  [ "$(left)" -lt "$seconds" ] && seconds=$(left) cut=1
  if [ "$seconds" -lt 5 ]; then
    echo "no time is left"
    status=125
    return
  fi
  timeout -k 5 "$seconds" "$@"
  status=$?
}

# What the harness's status and log mean, for result().
outcome() {
  case $1 in
    0) grep -qE '^(check|bench): .* [1-9][0-9]* left out' "$2" && echo PARTIAL || echo ok ;;
    125) echo "LEFT OUT" ;;
    *) echo FAILED ;;
  esac
}

# ---- the machine ----
# CUDA counts cards by speed where nobody says otherwise, and nvidia-smi by their place. Programs see only the one that is meant, as
# card 0: those that take no number, too.
card=$DEVICE
if [ "$EMULATED" != 1 ]; then
  export CUDA_DEVICE_ORDER=PCI_BUS_ID
  [ -n "${CUDA_VISIBLE_DEVICES-unset}" ] || { echo "CUDA_VISIBLE_DEVICES hides every card" && exit 2; }
  IFS=, read -ra visible <<<"${CUDA_VISIBLE_DEVICES-}"
  if [ ${#visible[@]} -gt 0 ]; then
    card=${visible[$DEVICE]-}
    [ -n "$card" ] || { echo "CUDA_VISIBLE_DEVICES=$CUDA_VISIBLE_DEVICES has no card $DEVICE" && exit 2; }
  fi
  export CUDA_VISIBLE_DEVICES=$card
  DEVICE=0
fi
# What nvidia-smi says of the card; errors, too, come from it as text.
ask() { nvidia-smi --query-gpu="$1" --format=csv,noheader -i "$card" 2>/dev/null | head -1; }
{
  date -u
  echo "commit $(git rev-parse --short HEAD 2>/dev/null || echo unknown)"
  echo "$(nproc) cores, $(sed -n 's/^model name.*: //p' /proc/cpuinfo | head -1)"
  "$CXX" --version | head -1
  if [ "$EMULATED" = 1 ]; then
    echo "emulated"
  else
    "$NVCC" --version | tail -2
    nvidia-smi
  fi
} >"$OUT/card.txt" 2>&1
cat "$OUT/card.txt"
if [ "$EMULATED" != 1 ]; then
  if [ -z "${ARCH:-}" ]; then
    ARCH=$(ask compute_cap | tr -d '. ')
    [[ $ARCH =~ ^[0-9]+$ ]] || { echo "nvidia-smi does not tell the architecture (${ARCH:-nothing}): 90" && ARCH=90; }
  fi
fi

# ---- build ----
# As native/binding.gyp and native/cuda/build.mjs do it.
core_flags=(-std=c++17 -O3 -DNDEBUG -fPIC -fno-strict-aliasing -ffp-contract=off -fvisibility=hidden -fvisibility-inlines-hidden -pthread)
if [ "$EMULATED" = 1 ]; then
  kind=emulated
  card_compile=("$CXX" -std=c++17 -O1 -fPIC -fvisibility=hidden -fno-strict-aliasing -pthread -Wall -Wextra -x c++)
  card_link=("$CXX" -pthread)
else
  kind=sm_$ARCH
  card_compile=("$NVCC" -std=c++17 -O3 --expt-relaxed-constexpr -ccbin "$CXX" -gencode "arch=compute_$ARCH,code=sm_$ARCH" -lineinfo
    -Xptxas -v -Xcompiler -fPIC,-fvisibility=hidden,-fno-strict-aliasing,-pthread)
  card_link=("$NVCC" -cudart static -ccbin "$CXX" -Xcompiler -pthread)
fi
library=$BUILD/anchorproof-cuda-$kind.so
harness=$BUILD/anchorproof-cards

# Of files' contents, and of how they are compiled.
digest() { { cat "$@" 2>/dev/null; echo "${core_flags[@]}" "${card_compile[@]}"; } | sha256sum | cut -c1-32; }
headers_id=$(digest native/src/*.h)
card_id=$(digest native/src/*.h native/cuda/*.cu native/cuda/*.h native/cuda/test/*)-$kind

# Starts a command beside the others, $slots at a time. Its log and status are in $BUILD/NAME.{log,rc}.
declare -A running=()
slots=$JOBS
job() {
  local name=$1
  shift
  while [ "$(jobs -rp | wc -l)" -ge "$slots" ]; do wait -n; done
  rm -f "$BUILD/$name.rc"
  running[$name]=1
  (
    begun=$SECONDS
    echo "\$ $*"
    "$@"
    status=$?
    echo "$name: status $status, $((SECONDS - begun)) s"
    echo $status >"$BUILD/$name.rc"
  ) >"$BUILD/$name.log" 2>&1 &
}
# Waits for all jobs. Names those that failed in $broken.
join() {
  wait
  broken=""
  for name in "${!running[@]}"; do
    [ "$(cat "$BUILD/$name.rc" 2>/dev/null)" = 0 ] || broken+=" $name"
  done
  running=()
}
# compiled OBJECT ID: whether it is there already, from the same sources.
compiled() { [ -f "$1" ] && [ "$(cat "$1.id" 2>/dev/null)" = "$2" ]; }
compile() {  # NAME ID COMMAND…: to $BUILD/NAME.o
  local name=$1 id=$2
  shift 2
  compiled "$BUILD/$name.o" "$id" || job "$name" sh -c 'id=$1 out=$2; shift 2; rm -f "$out" "$out.id"; "$@" -o "$out" && echo "$id" >"$out.id"' sh "$id" "$BUILD/$name.o" "$@"
}

# The slowest first.
units=(msm_g2 msm_g1 backend ntt)
for unit in native/cuda/*.cu; do
  name=$(basename "$unit" .cu)
  [[ " ${units[*]} " == *" $name "* ]] || units+=("$name")
done
tests=(field msm)
for test in native/cuda/test/*.cu; do
  name=$(basename "$test" .cu)
  [[ " ${tests[*]} " == *" $name "* ]] || tests+=("$name")
done
core=(engine_portable engine_adx engine_ifma engine cards)  # linked in this order, see binding.gyp
core_unit() { compile "$1" "$headers_id-$(digest "native/src/$1.cpp")" "$CXX" "${core_flags[@]}" -c "native/src/$1.cpp"; }
core_unit engine_ifma
for unit in "${units[@]}"; do
  compile "$kind-$unit" "$card_id" "${card_compile[@]}" "-DAP_CUDA_BUILD=\"$kind ${card_id:0:12}\"" -c "native/cuda/$unit.cu"
done
for unit in engine_portable engine_adx; do core_unit "$unit"; done
if [[ " $STEPS " == *" units "* || " $STEPS " == *" sanitizer "* || "${BUILD_ONLY:-0}" = 1 ]]; then
  for test in "${tests[@]}"; do compile "$kind-unit-$test" "$card_id" "${card_compile[@]}" -c "native/cuda/test/$test.cu"; done
fi
compile harness "$headers_id-$(digest native/cuda/harness/*)" "$CXX" "${core_flags[@]}" -Wall -Wextra -c native/cuda/harness/main.cpp
for unit in engine cards; do core_unit "$unit"; done
join
uncompiled=$broken
core_objects=("${core[@]/#/$BUILD/}")
core_objects=("${core_objects[@]/%/.o}")
unit_objects=("${units[@]/#/$BUILD/$kind-}")
# What is missing is told by the linker, not when the library is opened.
rm -f "$library" "$harness"
if [ "$EMULATED" = 1 ]; then
  shared=(-shared -Wl,--version-script=native/cuda/exports.map -Wl,-z,defs)
else
  shared=(-shared -Xlinker --version-script=native/cuda/exports.map -Xlinker -z -Xlinker defs)
fi
job library "${card_link[@]}" "${shared[@]}" "${unit_objects[@]/%/.o}" -o "$library"
job link-harness "$CXX" -pthread "$BUILD/harness.o" "${core_objects[@]}" -ldl -o "$harness"
built_tests=()
for test in "${tests[@]}"; do
  if [ -f "$BUILD/$kind-unit-$test.o.id" ]; then
    built_tests+=("$test")
    job "link-unit-$test" "${card_link[@]}" "$BUILD/$kind-unit-$test.o" "${core_objects[@]}" -ldl -o "$BUILD/unit-$test"
  fi
done
join
broken="$uncompiled$broken"
for log in "$BUILD"/*.log; do cat "$log" && echo; done >"$OUT/build.log"

# What ptxas says of the library's kernels, where they were compiled now: registers, stack and spills.
unit_logs=()
for unit in "${units[@]}"; do [ -f "$BUILD/$kind-$unit.log" ] && unit_logs+=("$BUILD/$kind-$unit.log"); done
kernels=""
[ ${#unit_logs[@]} -gt 0 ] && kernels=$(cat "${unit_logs[@]}" | sed -n -e "s/.*Compiling entry function '\([^']*\)'.*/kernel \1/p" \
  -e 's/^ *\([0-9]* bytes stack frame.*\)/frame \1/p' -e 's/.*Used \([0-9]*\) registers.*/registers \1/p' |
  awk '$1 == "kernel" { name = $2 } $1 == "frame" { stack = $2; spills = $6 + $10 } $1 == "registers" { print $2, stack + 0, spills + 0, name }' |
  (c++filt 2>/dev/null || cat))
if [ -n "$kernels" ]; then
  { echo "registers, stack, spilled bytes, kernel:" && echo "$kernels" | sort -k4; } >>"$OUT/build.log"
fi
ptxas_note=$(echo "$kernels" | awk 'NF { n++; if ($3 > 0) s++; if ($1 > most) most = $1 } END { if (n) printf "%d kernels, %d spill, at most %d registers", n, s, most }')
if [ -n "$broken" ]; then
  for name in $broken; do
    echo "--- $name"
    grep -m 12 -E "error|fatal|undefined" "$BUILD/$name.log" || tail -5 "$BUILD/$name.log"
  done
  result build FAILED "not built:$broken"
else
  result build ok "$kind; $ptxas_note"
fi

# ---- steps ----
if [ "$EMULATED" = 1 ]; then
  check_args=(--max 7 --max-proof 6) bench_args=(--sizes 5..7 --proof 6 --runs 2)
elif [ "$QUICK" = 1 ]; then
  check_args=(--max 18 --max-proof 12) bench_args=(--sizes 18..20 --proof 18 --runs 5)
else
  check_args=(--max 22 --max-proof 16) bench_args=(--sizes 16..22 --proof 20 --runs 7)
fi
common=(--device "$DEVICE" --seed "$SEED")
# What the harness may begin things for: it ends what it has begun.
budget() { local most=$1; [ "$(left)" -lt "$most" ] && most=$(left); echo $((most > 20 ? most - 10 : most)); }
ready() {
  [ -x "$harness" ] && [ -f "$library" ] && return
  result "$1" FAILED "the library or the harness is not built"
  return 1
}

# ---- under compute-sanitizer ----
# The harness does all that the library does, but at small sizes, where the library itself chooses neither affine rounds nor strided
# passes, and has no heavy buckets: the unit programs ask for them. Races are looked for in shared memory.
programs_under() {
  case $1 in
    racecheck) echo affine ntt harness ;;
    synccheck) echo harness ;;
    *) echo affine ntt msm sparse harness ;;
  esac
}
# under TOOL PROGRAM, until the step's time is up. 125: there was none left.
under() {
  local tool=$1 program=$2 seconds=$((deadline - SECONDS)) command
  [ "$seconds" -gt "$each" ] && seconds=$each
  if [ "$seconds" -lt 10 ]; then
    echo "no time is left"
    return 125
  fi
  case $program in
    harness)
      command=("$harness" check "$library" --max 10 --max-proof 6 --quick "${common[@]}" --threads 4 --work "$BUILD/keys-$tool"
        --seconds $((seconds > 25 ? seconds - 15 : 10)))
      ;;
    ntt) command=("$BUILD/unit-ntt" "transforms of small tiles" "quotients of small tiles") ;;
    msm) command=("$BUILD/unit-msm" heavy-bucket scans) ;;
    *) command=("$BUILD/unit-$program") ;;
  esac
  timeout -k 5 "$seconds" "$sanitizer" --tool "$tool" --error-exitcode 9 --print-limit 20 "${command[@]}"
}
# One result of all that ran under a tool.
tell() {
  local tool=$1 program log status clean="" partly="" wrong=""
  rm -rf "$BUILD/keys-$tool"
  for program in $(programs_under "$tool"); do
    log=$BUILD/$tool-$program.log
    status=$(cat "$BUILD/$tool-$program.rc" 2>/dev/null)
    { echo "--- $tool $program" && cat "$log"; } >>"$OUT/sanitizer.log"
    if grep -q "Device not supported" "$log"; then
      result "$tool" skipped "the tool refuses this device"
      return
    fi
    case $status in
      0) grep -qE '^check: .* [1-9][0-9]* left out' "$log" && partly+=", $program left some out" || clean+=" $program" ;;
      125) partly+=", no time for $program" ;;
      # The harness looks at the clock. A unit program does not, and may be slow.
      124 | 137) [ "$program" = harness ] && wrong+=" $program(no end)" || partly+=", $program came to no end" ;;
      *) wrong+=" $program($status)" ;;
    esac
    # What it had found when its time was up.
    [ "$status" != 0 ] && grep -qE '^=+ *(Invalid|Misaligned|Uninitialized|Error: |Barrier error|Program hit)' "$log" &&
      [[ "$wrong" != *" $program("* ]] && wrong+=" $program(errors)"
  done
  local note="clean:${clean:- none}$partly; $(grep '^check:' "$BUILD/$tool-harness.log")"
  if [ -n "$wrong" ]; then
    result "$tool" FAILED "wrong:$wrong; $note"
  elif [ -n "$partly" ]; then
    result "$tool" PARTIAL "$note"
  else
    result "$tool" ok "$note"
  fi
}

for step in $STEPS; do
  case $step in
    units)
      [ ${#tests[@]} -gt 0 ] || result units ok "there are none"
      wrong="" without=""
      for test in "${built_tests[@]}"; do
        echo "--- $test"
        arguments=()
        [ "$test" = backend ] && arguments=("$library")  # the one that opens it as the core does
        timed $((EMULATED ? 600 : 60)) "$BUILD/unit-$test" "${arguments[@]}"
        case $status-$cut in
          0-*) ;;
          125-* | 124-1) without+=" $test" ;;
          *) wrong+=" $test($status)" ;;
        esac
      done >"$OUT/units.log" 2>&1
      for test in "${tests[@]}"; do [[ " ${built_tests[*]} " == *" $test "* ]] || wrong+=" $test(not built)"; done
      if [ -n "$wrong" ]; then
        grep -E "FAILED|rror" "$OUT/units.log" | head -10
        result units FAILED "$wrong"
      elif [ -n "$without" ]; then
        result units PARTIAL "there was not the time for$without"
      elif [ ${#tests[@]} -gt 0 ]; then
        result units ok "${#built_tests[@]} programs, $(grep -c '^ok' "$OUT/units.log") sections"
      fi
      ;;
    check)
      ready check || continue
      timed 180 "$harness" check "$library" "${check_args[@]}" "${common[@]}" --work "$BUILD/keys" --seconds "$(budget 160)" >"$OUT/check.log" 2>&1
      grep -E "^(WRONG|FAILED|STOPPED)" "$OUT/check.log" | head -20
      result check "$(outcome $status "$OUT/check.log")" "$(tail -1 "$OUT/check.log")"
      ;;
    bench)
      ready bench || continue
      timed 170 "$harness" bench "$library" "${bench_args[@]}" "${common[@]}" --work "$BUILD/keys" --json "$OUT/bench.json" \
        --seconds "$(budget 140)" >"$OUT/bench.log" 2>&1
      cat "$OUT/bench.log"
      result bench "$(outcome $status "$OUT/bench.log")" "$(tail -1 "$OUT/bench.log")"
      ;;
    sanitizer)
      reserve=0
      [ "$EMULATED" = 1 ] && result sanitizer skipped "no card" && continue
      ready sanitizer || continue
      nvcc=$(readlink -f "$(command -v "$NVCC")")
      sanitizer=""
      for candidate in "$(command -v compute-sanitizer)" "$(dirname "$(command -v "$NVCC")")/compute-sanitizer" \
        "$(dirname "$nvcc")/compute-sanitizer" /usr/local/cuda/bin/compute-sanitizer; do
        [ -x "$candidate" ] && sanitizer=$candidate && break
      done
      if [ -z "$sanitizer" ]; then
        result sanitizer skipped "compute-sanitizer is not here"
        continue
      fi
      tools=(racecheck memcheck initcheck synccheck)
      [ "$QUICK" = 1 ] && tools=(memcheck)
      runs=()
      for tool in "${tools[@]}"; do
        for program in $(programs_under "$tool"); do [ "$program" = harness ] || runs+=("$tool $program"); done
      done
      # Side by side on one card, where it serves several processes: nothing is timed here.
      slots=$((JOBS < 8 ? JOBS : 8))
      [ "$(ask compute_mode)" = Default ] || slots=1
      seconds=$(($(left) - 10))
      [ "$seconds" -gt 120 ] && seconds=120
      if [ "$seconds" -lt 20 ]; then
        result sanitizer "LEFT OUT" "no time is left"
        slots=$JOBS
        continue
      fi
      deadline=$((SECONDS + seconds))
      # Seconds for each: the unit programs are short, and the harness takes what they leave.
      share() { each=$(((deadline - SECONDS) * slots / $1)) && [ "$each" -ge 25 ] || each=25; }
      share $((${#runs[@]} + ${#tools[@]}))
      for run in "${runs[@]}"; do job "${run/ /-}" under $run; done
      share ${#tools[@]}
      for tool in "${tools[@]}"; do job "$tool-harness" under "$tool" harness; done
      join
      slots=$JOBS
      for tool in "${tools[@]}"; do tell "$tool"; done
      ;;
    *)
      result "$step" FAILED "there is no such step"
      ;;
  esac
done

# ---- summary ----
{
  echo
  echo "================ $(sed -n 's/^card [0-9]* of [0-9]*: //p' "$OUT/check.log" "$OUT/bench.log" 2>/dev/null | head -1)"
  if [ -f "$OUT/bench.log" ]; then
    grep -E "^(limits|proof of|  [0-9.]+ GB and|  [0-9]+ in flight|  on the card|FAILED|STOPPED|left out)" "$OUT/bench.log"
    grep -m 1 "^msm G1" "$OUT/bench.log" | sed 's/^msm G1/      /'
    grep -E "^(G1|G2|ntt|quotient) 2\^(16|20|22) " "$OUT/bench.log" | grep -E "chosen|extended, no multiples|^ntt|^quotient"
  fi
  echo
  printf '%s\n' "${results[@]}"
  [ "$EMULATED" != 1 ] || echo "emulated: times mean nothing"
  if [ "$failed" = 1 ]; then
    echo "SOMETHING FAILED, $(elapsed) s; see $OUT${not_run:+; NOT run: ${not_run#, }}"
  elif [ -n "$not_run" ]; then
    echo "all that ran is well, $(elapsed) s; NOT run: ${not_run#, }"
  else
    echo "all is well, $(elapsed) s"
  fi
} | tee "$OUT/summary.txt"
[ "$failed" = 0 ] || exit 1
[ -z "$not_run" ] || exit 3
