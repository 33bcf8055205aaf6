# SPDX-License-Identifier: GPL-2.0-only
# For gdb on a guest, x86_64 or arm64: gdb -x docs/kernel.gdb VMLINUX

define kbt
  info symbol $pc
  if $_isvoid($x29)
    set $kbt_frame = (unsigned long)$rbp
  else
    set $kbt_frame = (unsigned long)$x29
  end
  set $kbt_depth = 0
  while $kbt_frame > 0xffff000000000000 && $kbt_depth < 40
    set $kbt_return = ((unsigned long *)$kbt_frame)[1]
    set $kbt_frame = ((unsigned long *)$kbt_frame)[0]
    if $kbt_return != 0
      # arm64 signs return addresses in bits that are all ones in a kernel address.
      info symbol $kbt_return | 0xffffff8000000000
    end
    set $kbt_depth = $kbt_depth + 1
  end
end
document kbt
Walk the frame pointers of the kernel, which need no debug info.
At the first instruction of a function its caller is missing: "info symbol" of x30 on arm64, and
of the word at rsp on x86_64, is the return address there.
end
