# Sourced: the source of a published crate, whose tests are to run.
crate_source() { # crate_source NAME VERSION DIRECTORY: copies it to DIRECTORY/NAME, as a workspace of its own.
  local name=$1 version=$2 directory=$3
  rm -rf "$directory" && mkdir -p "$directory"
  # A package that needs the crate makes Cargo fetch and check it.
  cat > "$directory/Cargo.toml" <<TOML
[package]
name = "fetch"
version = "0.0.0"
edition = "2024"
[lib]
path = "lib.rs"
[dependencies]
$name = "=$version"
[workspace]
TOML
  touch "$directory/lib.rs"
  cargo fetch -q --manifest-path "$directory/Cargo.toml"
  cp -r "$(cargo metadata -q --format-version 1 --manifest-path "$directory/Cargo.toml" | python3 -c "import json, os, sys
print(next(os.path.dirname(p['manifest_path']) for p in json.load(sys.stdin)['packages'] if p['name'] == '$name'))")" "$directory/$name"
  printf '\n[workspace]\n' >> "$directory/$name/Cargo.toml"
  rm -f "$directory/$name/rust-toolchain.toml" # it names the oldest toolchain that the crate supports
}
