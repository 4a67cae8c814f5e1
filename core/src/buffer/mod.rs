//! Memory for I/O: provided-buffer pools and aligned buffers.
