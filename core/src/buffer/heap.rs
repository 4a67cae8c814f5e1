//! How the allocator keeps what is freed.
#![expect(unsafe_code, reason = "the allocator is told by a C function")]

/// Freed memory that stays with the process.
const KEPT_BYTES_MAX: i32 = 8 << 20;

/// Makes glibc keep some megabytes of freed memory, also of large blocks: to be called once, at the start. By default it
/// gives back what exceeds 128 KiB, and each page that comes anew costs a fault and its zeroing, which is more than the
/// copy into it. Other allocators have their own ways.
pub fn keep_freed_memory() {
    #[cfg(target_env = "gnu")]
    for option in [libc::M_TRIM_THRESHOLD, libc::M_MMAP_THRESHOLD] {
        // SAFETY: mallopt(3) takes two integers and may be called at any time.
        unsafe { libc::mallopt(option, KEPT_BYTES_MAX) };
    }
}
