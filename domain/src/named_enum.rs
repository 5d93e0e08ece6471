//! Enums whose variants have names on the wire.
//!
//! This is a macro of its own, because every name comes with a number, a source or a title, which no derive supports.

/// Defines an enum whose variants each have a name, with `ALL`, `COUNT`, `name` and `parse`.
///
/// ```
/// domain::named_enum! {
///     /// A shape.
///     #[derive(Debug, Clone, Copy, PartialEq, Eq)]
///     pub enum Shape {
///         /// Round.
///         Circle => "circle",
///         /// With four corners.
///         Square => "square",
///     }
/// }
/// assert_eq!(Shape::Square.name(), "square");
/// assert_eq!(Shape::parse("circle"), Some(Shape::Circle));
/// assert_eq!(Shape::ALL, [Shape::Circle, Shape::Square]);
/// ```
#[macro_export]
macro_rules! named_enum {
    (
        $(#[$attribute:meta])*
        $visibility:vis enum $enum:ident {
            $($(#[$variant_attribute:meta])* $variant:ident $(= $number:literal)? => $name:literal,)*
        }
    ) => {
        $(#[$attribute])*
        $visibility enum $enum { $($(#[$variant_attribute])* $variant $(= $number)?),* }

        impl $enum {
            /// Number of variants.
            pub const COUNT: usize = [$($name),*].len();

            /// Every variant, in the order of their definition.
            pub const ALL: [Self; Self::COUNT] = [$(Self::$variant),*];

            /// Returns the variant's name, as answers, events and metrics have it.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self { $(Self::$variant => $name),* }
            }

            /// Returns the variant of that name; `None` if there is none.
            #[must_use]
            pub fn parse(name: &str) -> Option<Self> {
                Self::ALL.into_iter().find(|variant| variant.name() == name)
            }
        }
    };
}
