# Shared by ./lipverify and ./test: what the project needs on a machine, and a build where sources are newer than the last one.
# Everything here speaks on standard error, so that standard output stays the program's own.

export DOTNET_CLI_TELEMETRY_OPTOUT=1 DOTNET_NOLOGO=1 DOTNET_CLI_USE_MSBUILD_SERVER=0
state="$root/.lipverify"

require_dotnet() {
  if ! command -v dotnet >/dev/null 2>&1; then
    echo "lipverify: the .NET 10 SDK is missing; see https://dotnet.microsoft.com/download" >&2
    exit 2
  fi
}

# A checkout that cannot be written to runs what is built in it, but nothing can be built.
require_writable() {
  if ! { mkdir -p "$state" && : >>"$state/lock" && [ -w "$root/src" ]; } 2>/dev/null; then
    echo "lipverify: $root cannot be written to, and what is built there is missing or older than its sources; build it as a user who may write there, or in a copy" >&2
    exit 2
  fi
}

# OpenBLAS is optional: without it the managed engine serves. Tried once a checkout; a failure is no error.
install_openblas() {
  [ -e "$state/openblas-tried" ] && return
  mkdir -p "$state"
  touch "$state/openblas-tried"
  ldconfig -p 2>/dev/null | grep -q libopenblas && return
  if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null 2>&1; then
    echo "lipverify: installing OpenBLAS (libopenblas0-pthread)" >&2
    { apt-get install -y -q libopenblas0-pthread || { apt-get update -q && apt-get install -y -q libopenblas0-pthread; }; } \
      >"$state/openblas.log" 2>&1 </dev/null ||
      echo "lipverify: OpenBLAS could not be installed (see $state/openblas.log); the slower managed engine serves" >&2
  fi
}

# The solver of semidefinite programs is optional: some bounds of one output need it. Tried once a checkout.
install_csdp() {
  [ -e "$state/csdp-tried" ] && return
  mkdir -p "$state"
  touch "$state/csdp-tried"
  command -v csdp >/dev/null 2>&1 && return
  if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null 2>&1; then
    echo "lipverify: installing CSDP (coinor-csdp)" >&2
    { apt-get install -y -q coinor-csdp || { apt-get update -q && apt-get install -y -q coinor-csdp; }; } \
      >"$state/csdp.log" 2>&1 </dev/null ||
      echo "lipverify: CSDP could not be installed (see $state/csdp.log); some bounds of one output need it" >&2
  fi
}

# is_built WHAT: what was built is there, and no source is newer.
is_built() {
  local stamp="$state/built-$1" made
  case $1 in
    program) made=$program ;;
    solution) made="$root/tests/LipVerify.Tests/bin/Release/net10.0/LipVerify.Tests.dll" ;;
  esac
  [ -e "$stamp" ] && [ -e "$made" ] &&
    [ -z "$(find "$root/src" "$root/tests" "$root/proofs-checks" "$root/samples" "$root/Directory.Build.props" "$root/Directory.Build.targets" "$root/paket.lock" \
      \( -name bin -o -name obj -o -path "$root/proofs-checks/coq" \) -prune -o -type f -newer "$stamp" -print -quit)" ]
}

# Where ./lipverify finds its program.
program="$state/program/lipverify.dll"

# The command line, compiled ahead of time where the package for that is to be had: it starts faster. Else as the compiler leaves it.
publish_program() {
  local project="$root/src/LipVerify.Cli/LipVerify.Cli.fsproj"
  rm -rf "$state/program.next"
  local publish=(dotnet publish "$project" -c Release -v quiet -nologo -o "$state/program.next")
  "${publish[@]}" --use-current-runtime --self-contained false -p:PublishReadyToRun=true ||
    { rm -rf "$state/program.next" && "${publish[@]}"; } || return
  rm -rf "$state/program" && mv "$state/program.next" "$state/program"
}

build_solution() { dotnet build "$root/LipVerify.sln" -c Release -v quiet -nologo; }

# build_if_needed WHAT: `program` builds the command line, `solution` everything, for tests.
build_if_needed() {
  local what=$1 stamp="$state/built-$1" build
  require_dotnet
  case $what in
    program) build=publish_program ;;
    solution) build=build_solution ;;
  esac
  if is_built "$what"; then return; fi
  require_writable
  exec 9>"$state/lock"
  if command -v flock >/dev/null 2>&1; then flock 9; fi
  if is_built "$what"; then # by whoever held the lock
    exec 9>&-
    return
  fi
  install_openblas
  install_csdp
  echo "lipverify: building (first use, or sources changed)" >&2
  # The stamp is as old as the start of the build: what changes while it runs is built next time.
  touch "$stamp.next"
  if ! (cd "$root" && dotnet tool restore && "$build") >"$state/build.log" 2>&1 </dev/null; then
    cat "$state/build.log" >&2
    echo "lipverify: the build failed" >&2
    exit 2
  fi
  mv "$stamp.next" "$stamp"
  exec 9>&-
}
