#!/bin/busybox sh
# First process inside the user-mode Linux kernel of vcan-run: brings CAN up, runs the command, halts.
box=/bin/busybox
export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
$box mount -t proc proc /proc
$box mount -t sysfs sys /sys
$box mount -t tmpfs tmpfs /run
$box mount -t tmpfs tmpfs /dev/shm 2>/dev/null
for word in $($box cat /proc/cmdline); do
    case $word in RIG_*) export "$word" ;; esac
done
$box mount -t hostfs none /mnt -o "$RIG_OUT" # writable: results go here
modules=/usr/lib/uml/modules/$($box uname -r)/kernel
for module in net/can/can net/can/can-raw drivers/net/can/dev/can-dev drivers/net/can/vcan; do
    $box insmod "$modules/$module.ko" 2>/dev/null
done
$box ip link set lo up
for bus in vcan0 vcan1; do
    ip link add "$bus" type vcan && ip link set "$bus" up
done
$box timeout "$RIG_LIMIT_S" /bin/bash -c '. /mnt/folder && . /mnt/command' > /mnt/stdout 2> /mnt/stderr
echo $? > /mnt/status
$box sync
$box poweroff -f
