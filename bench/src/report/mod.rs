//! What is written of a result: text for the terminal, Markdown, and one HTML file that needs nothing else, pictures.

mod folder;
mod html;
mod svg;
mod text;

pub use folder::{write, write_again};
pub use text::{comparison, limits_table, plain};
