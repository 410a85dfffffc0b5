#!/usr/bin/env bash
# `make slurm`: Slurm from Debian's packages, started as a one-node cluster for trying out run_lottery_ticket.sh.
# For a throw-away machine: it runs slurmctld and slurmd as root and owns /etc/slurm/slurm.conf. Where Slurm runs already, it does nothing.
set -euo pipefail

MARK="# one-node cluster of the grokking-tickets repository"
CONF=/etc/slurm/slurm.conf

if command -v sinfo >/dev/null && timeout 10 sinfo -h -o %T 2>/dev/null | grep -Eq 'idle|mixed|allocated'; then
    echo "Slurm runs already"
    exit 0
fi
if [ "$(id -u)" -ne 0 ]; then
    exec sudo "$0"
fi
if [ -e "$CONF" ] && ! grep -qF "$MARK" "$CONF"; then
    echo "error: $CONF belongs to another cluster; this is only for a machine without one" >&2
    exit 2
fi
if ! command -v slurmctld >/dev/null || ! command -v munged >/dev/null; then
    apt-get update -qq
    DEBIAN_FRONTEND=noninteractive apt-get install -y -qq slurm-wlm munge >/dev/null
fi

install -d -o munge -g munge -m 0755 /run/munge
[ -s /etc/munge/munge.key ] || mungekey --create >/dev/null
chown munge:munge /etc/munge/munge.key
pgrep -x munged >/dev/null || runuser -u munge -- munged

install -d /etc/slurm /var/lib/slurm/ctld /var/lib/slurm/d /var/log/slurm
host=$(hostname -s)
cat >"$CONF" <<EOF
$MARK
ClusterName=local
SlurmctldHost=$host(127.0.0.1)
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
MpiDefault=none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
StateSaveLocation=/var/lib/slurm/ctld
SlurmdSpoolDir=/var/lib/slurm/d
SlurmctldLogFile=/var/log/slurm/slurmctld.log
SlurmdLogFile=/var/log/slurm/slurmd.log
SlurmctldPidFile=/run/slurmctld.pid
SlurmdPidFile=/run/slurmd.pid
ReturnToService=2
KillWait=30
SchedulerParameters=batch_sched_delay=0,sched_interval=5
NodeName=$host NodeAddr=127.0.0.1 CPUs=$(nproc) RealMemory=$(awk '/MemTotal/ {print int($2 / 1024 * 0.9)}' /proc/meminfo) State=UNKNOWN
PartitionName=main Nodes=ALL Default=YES MaxTime=INFINITE State=UP
EOF
pgrep -x slurmctld >/dev/null || slurmctld
pgrep -x slurmd >/dev/null || slurmd
for _ in $(seq 60); do
    if timeout 5 sinfo -h -o %T 2>/dev/null | grep -q idle; then
        echo "Slurm is up: $(sinfo -h -o '%n, %c CPUs, %T')"
        exit 0
    fi
    sleep 1
done
echo "error: Slurm did not come up; see /var/log/slurm" >&2
exit 1
