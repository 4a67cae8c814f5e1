#!/usr/bin/env bash
# Everything that the checks need and a fresh machine may lack, pinned. What cannot be installed is named here and by the
# step that misses it.
set -uo pipefail
tools=$PWD/target/ci
mkdir -p "$tools"
missed=0
miss() { echo "not installed: $*"; missed=1; }

packages=()
add() { command -v "$1" > /dev/null || packages+=("$2"); }
add kcat kcat
add cc build-essential
add cmake cmake
add python3 python3-venv
add java openjdk-17-jdk-headless
add mvn maven
add go golang-go
add npm npm
add xfs_io xfsprogs
add mkfs.ext4 e2fsprogs
add prometheus prometheus
add nbdkit nbdkit
add nbdfuse libnbd-bin
add fusermount3 fuse3
nbdkit --dump-plugin python > /dev/null 2>&1 || packages+=(nbdkit-plugin-python)
if [ "${#packages[@]}" -gt 0 ]; then
  apt-get -qq update > /dev/null 2>&1
  DEBIAN_FRONTEND=noninteractive apt-get -qq install -y "${packages[@]}" > "$tools/apt.log" 2>&1 || miss "${packages[@]} ($(tail -1 "$tools/apt.log"))"
fi

python3 -m venv "$tools/python" && "$tools/python/bin/pip" -q install --disable-pip-version-check -r .ci/clients/requirements.txt \
  || miss "Python clients"

if [ ! -e "$tools/kafka/kafka-clients-4.3.1.jar" ]; then
  mvn -q -B -f .ci/kafka/pom.xml dependency:copy-dependencies -DoutputDirectory="$tools/kafka" > "$tools/maven.log" 2>&1 \
    || miss "Apache Kafka 4.3.1 ($(grep -m1 ERROR "$tools/maven.log"))"
fi

install_cargo_tool() { # NAME VERSION [OPTION...]
  local name=$1 version=$2
  shift 2
  cargo install -q --locked "$name" --version "$version" "$@" > "$tools/$name.log" 2>&1 || miss "$name ($(tail -1 "$tools/$name.log"))"
}
install_cargo_tool cargo-deny 0.20.2 --no-default-features
install_cargo_tool cargo-fuzz 0.13.2
[ "$missed" = 0 ] || exit 77
