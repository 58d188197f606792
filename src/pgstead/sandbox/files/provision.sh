#!/bin/sh
# Makes a node image of a bare Debian or Ubuntu root file system: what a cloud image of the same
# release carries, plus a package cache that nodes share. Runs once, inside the container.
set -eu
export DEBIAN_FRONTEND=noninteractive

printf '#!/bin/sh\nexit 101\n' > /usr/sbin/policy-rc.d
chmod 755 /usr/sbin/policy-rc.d
apt-get update -q
apt-get install -qy --no-install-recommends \
  systemd systemd-sysv dbus python3 python3-apt openssh-server sudo cron \
  iproute2 procps ca-certificates less
rm -f /usr/sbin/policy-rc.d

# Debian's Docker images drop downloaded packages and man pages; a VM keeps them.
rm -f /etc/apt/apt.conf.d/docker-clean /etc/apt/apt.conf.d/docker-no-languages

# A node can be made again: packages need not be on disk before the next step, as in Docker's own images of Debian.
echo force-unsafe-io > /etc/dpkg/dpkg.cfg.d/pgstead-sandbox

# The shared package cache. APT locks its archive directory without waiting, so every node has its
# own directory in the shared volume, and hard links carry packages between them.
cat > /etc/apt/apt.conf.d/90pgstead-sandbox <<'CONF'
APT::Update::Post-Invoke { "/usr/local/sbin/pgstead-share-packages"; };
DPkg::Pre-Invoke { "/usr/local/sbin/pgstead-share-packages"; };
CONF
cat > /usr/local/sbin/pgstead-share-packages <<'SCRIPT'
#!/bin/sh
# Links packages from this node's archive directory into the pool, and from the pool back.
pool=/var/cache/pgstead/pool
own=$(readlink -f /var/cache/apt/archives)
case $own in /var/cache/pgstead/*) ;; *) exit 0 ;; esac
mkdir -p "$pool"
for from in "$own" "$pool"; do
  to=$pool; [ "$from" = "$pool" ] && to=$own
  for deb in "$from"/*.deb; do
    if [ -e "$deb" ] && [ ! -e "$to/${deb##*/}" ]; then ln "$deb" "$to/${deb##*/}"; fi
  done
done
SCRIPT
cat > /etc/systemd/system/pgstead-package-cache.service <<'UNIT'
[Unit]
Description=Own directory of this node in the shared package cache
ConditionPathIsMountPoint=/var/cache/pgstead
[Service]
Type=oneshot
ExecStart=/bin/sh -c 'd=/var/cache/pgstead/node-$(hostname); mkdir -p $d/partial && rm -rf /var/cache/apt/archives && ln -s $d /var/cache/apt/archives && /usr/local/sbin/pgstead-share-packages'
[Install]
WantedBy=basic.target
UNIT
chmod 755 /usr/local/sbin/pgstead-share-packages
systemctl enable -q pgstead-package-cache.service

# Every node is a machine of its own: identity and host keys are made at first boot.
rm -f /etc/ssh/ssh_host_* /var/lib/dbus/machine-id
: > /etc/machine-id
mkdir -p /etc/systemd/system/ssh.service.d
printf '[Service]\nExecStartPre=\nExecStartPre=/usr/bin/ssh-keygen -A\nExecStartPre=/usr/sbin/sshd -t\n' \
  > /etc/systemd/system/ssh.service.d/host-keys.conf

# A container has no hardware, console or clock of its own; package timers would take APT's lock mid-test.
systemctl mask -q systemd-udevd.service systemd-networkd-wait-online.service systemd-resolved.service \
  systemd-timesyncd.service getty.target console-getty.service e2scrub_all.timer fstrim.timer \
  apt-daily.timer apt-daily-upgrade.timer man-db.timer
systemctl set-default -q multi-user.target
apt-get clean
