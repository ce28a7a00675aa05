#!/usr/bin/env bash
# The main job, shown: a VPC with two nodes on this machine, pods with addresses of that VPC, and proof by packets.
#
#   tools/demo.sh           leaves the lab up, to play with
#   tools/demo.sh --down    ends it afterwards
set -euo pipefail

cd "$(dirname "${BASH_SOURCE[0]}")/.."
export PATH="$PWD/.venv/bin:$PATH"

step() { printf '\n\033[1m== %s\033[0m\n' "$*"; }

# show COMMAND...: print the command as a reader would type it, then run it.
show() {
    printf '$ %s\n' "$*"
    "$@"
}

end_lab() { show vpc-cni lab down; }

# A lab that is half up helps nobody; a finished one stays for the reader.
end_on_failure() {
    local status=$?
    [ "$status" -eq 0 ] || { step "something failed: ending the lab"; end_lab || true; }
    exit "$status"
}
trap end_on_failure EXIT

step "A VPC with two nodes; each runs a real agent"
if vpc-cni lab status >/dev/null 2>&1; then
    echo "a lab is up already: using it"
else
    show vpc-cni lab up --nodes 2
fi

step "Pods get addresses of the VPC, through the plugin, as a container runtime does it"
show vpc-cni lab pod add --count 4
show vpc-cni lab pod list

step "Packets: pod to pod, node, internet, node port, large ones"
show vpc-cni lab check

if [ "${1:-}" = --down ]; then
    step "Ending the lab"
    end_lab
    exit 0
fi

step "The lab is yours now. Try:"
cat <<'TEXT'
  source .venv/bin/activate
  vpc-cni lab status                                    nodes, ENIs, pods
  vpc-cni lab exec node-1 -- ip rule                    what the agent set up
  vpc-cni lab fault --help                              break something, then `vpc-cni lab check` again
  eval "$(vpc-cni lab env)"; aws ec2 describe-network-interfaces --query 'NetworkInterfaces[].NetworkInterfaceId'
  vpc-cni lab down                                      leaves nothing behind
TEXT
