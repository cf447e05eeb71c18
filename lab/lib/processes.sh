# shellcheck shell=bash
# The lab's processes: started detached in its network namespace and cgroup, ended by proof of membership, never by name.

# Every folder of ours in the cgroup hierarchies: one with cgroup v2, one for each controller with v1.
cgroup_mounts() { awk '$3 == "cgroup2" || $3 == "cgroup" { print $2 }' /proc/mounts; }
cgroup_folders() {
  local mount
  for mount in $(cgroup_mounts); do
    [[ ! -d $mount/$CGROUP ]] || echo "$mount/$CGROUP"
  done
}

# The hierarchy in which the daemons themselves are kept together; v2 if there is one, also when it is hybrid.
tracking_mount() {
  awk '$3 == "cgroup2" { print $2; found = 1; exit } $3 == "cgroup" && $2 ~ /\/pids$/ { pids = $2 } END { if (!found) print pids }' /proc/mounts
}
daemons_cgroup() { echo "$(tracking_mount)/$CGROUP/daemons"; }

cgroups_up() {
  local mount folder
  for mount in $(cgroup_mounts); do
    folder=$mount/$CGROUP
    if [[ -f $mount/cgroup.controllers ]]; then
      # The kubelet insists on these controllers in the folder that it is given.
      local controller
      for controller in $(<"$mount/cgroup.controllers"); do
        echo "+$controller" >"$mount/cgroup.subtree_control" 2>/dev/null || true
      done
    fi
    mkdir -p "$folder"
    # A new v1 cpuset is empty and takes no process until it has been told its CPUs.
    if [[ -f $folder/cpuset.cpus && ! -f $mount/cgroup.controllers ]]; then
      cat "$mount/cpuset.cpus" >"$folder/cpuset.cpus"
      cat "$mount/cpuset.mems" >"$folder/cpuset.mems"
    fi
  done
  mkdir -p "$(daemons_cgroup)"
}

# enter COMMAND...: as one of the lab's processes, which `down` ends.
# shellcheck disable=SC2016
enter() { nsenter --net="$NETNS" bash -c 'echo $$ >"$0/cgroup.procs" && exec "$@"' "$(daemons_cgroup)" "$@"; }

start_time() { sed 's/.*) //' "/proc/$1/stat" 2>/dev/null | awk '{ print $20 }'; }

# start NAME COMMAND...: remembers the command, so that `lab/part` can start it again.
start() {
  local name=$1
  shift
  printf '%q ' "$@" >"$STATE/run/$name.command"
  launch "$name"
}
launch() {
  local name=$1
  # The pid file is written by the process itself, before it becomes the command: pid and start time prove who it is later.
  # shellcheck disable=SC2016
  setsid nsenter --net="$NETNS" bash -c '
    echo $$ >"$1/cgroup.procs"
    stat=$(<"/proc/$$/stat"); stat=${stat##*) }; set -- "$@" $stat
    echo "$$ ${22}" >"$2.pid.new" && mv "$2.pid.new" "$2.pid"
    ulimit -n 65536 2>/dev/null || ulimit -n "$(ulimit -Hn)"
    # Nothing of the caller is kept open: a pipe that he waits on, a lock that he holds.
    for fd in /proc/$$/fd/*; do fd=${fd##*/}; ((fd < 3)) || eval "exec $fd>&-"; done
    eval "exec $(<"$2.command")"' lab "$(daemons_cgroup)" "$STATE/run/$name" \
    </dev/null >>"$LOG/$name.log" 2>&1 9>&- &
  retry 5 alive "$name" || fail "$name did not start: see $LOG/$name.log"
}

recorded_pid() { cut -d' ' -f1 "$STATE/run/$1.pid" 2>/dev/null; }
alive() {
  local pid started
  read -r pid started 2>/dev/null <"$STATE/run/$1.pid" || return 1
  [[ -n $started && $(start_time "$pid") == "$started" ]]
}
# stop NAME [SIGNAL]: returns when it is gone.
stop() {
  local name=$1
  ! alive "$name" || kill -"${2:-TERM}" "$(recorded_pid "$name")" 2>/dev/null || true
  retry 15 gone "$name" || { ! alive "$name" || kill -KILL "$(recorded_pid "$name")"; }
  retry 5 gone "$name"
  rm -f "$STATE/run/$name.pid"
}
gone() { ! alive "$1"; }
parts() { find "$STATE/run" -name '*.command' -printf '%f\n' 2>/dev/null | sed 's/\.command$//' | sort; }

# Pids that are the lab's: in its cgroups (daemons, shims, pods) or in its network namespace (also `lab/run`).
lab_pids() {
  local folder inode namespace
  {
    for folder in $(cgroup_folders); do
      find "$folder" -name cgroup.procs -exec cat {} + 2>/dev/null || true
    done
    if inode=$(lab_netns_inode); then
      for namespace in /proc/[0-9]*/ns/net; do
        [[ $(readlink "$namespace" 2>/dev/null) != "net:[$inode]" ]] || cut -d/ -f3 <<<"$namespace"
      done
    fi
  } | sort -un
}

end_processes() {
  local pids tries
  for ((tries = 0; tries < 100; tries++)); do
    # A frozen v1 cgroup would keep a killed process; runc freezes one only for moments.
    pids=$(lab_pids)
    [[ -n $pids ]] || return 0
    # shellcheck disable=SC2086
    kill -KILL $pids 2>/dev/null || true
    sleep 0.1
  done
  fail "these processes of the lab do not end: $pids"
}

cgroups_down() {
  local folder
  for folder in $(cgroup_folders); do
    find "$folder" -depth -type d -exec rmdir {} + 2>/dev/null || true
  done
}

# One `up` or `down` at a time; `up` calls `down` while it holds the lock.
lock() {
  [[ -z ${LAB_LOCKED:-} ]] || return 0
  exec 9>"/run/$LAB_NAME.lock"
  flock -n 9 || fail "another lab/up or lab/down is at work"
  export LAB_LOCKED=1
}
