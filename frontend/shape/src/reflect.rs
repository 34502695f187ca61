//! How codecs and the validator see a generated type: a view of member *i*, a slot for member *i*.
//!
//! Everything is object safe, so that one reader serves all shapes: generated code is two `match`es per structure and no
//! parser is ever monomorphised for a type.

use bytes::Bytes;
use serde_json::Value as Document;

use crate::{ByteStream, Map, Schema, Timestamp};

/// A generated structure or union.
pub trait Struct: Send + Sync {
    /// Its static description; `i` below indexes `schema().members`.
    fn schema(&self) -> &'static Schema;

    /// Member `i`; [`View::None`] when absent or not in the schema.
    fn get(&self, i: usize) -> View<'_>;

    /// A place to read member `i` into. It is present from now on, and a union holds this member only.
    /// [`Slot::None`] when not in the schema.
    fn slot(&mut self, i: usize) -> Slot<'_>;

    /// The member that a union holds; `None` for structures. Spares a writer asking every member.
    fn active(&self) -> Option<usize> {
        None
    }
}

/// A value on its way out.
#[derive(Clone, Copy)]
pub enum View<'a> {
    /// Absent.
    None,
    /// Text, enum values included.
    Str(&'a str),
    /// `true` or `false`.
    Bool(bool),
    /// `integer` and `long`.
    Int(i64),
    /// `float`
    Float(f32),
    /// `double`
    Double(f64),
    /// Bytes.
    Blob(&'a [u8]),
    /// A point in time.
    Timestamp(Timestamp),
    /// A list.
    List(&'a dyn List),
    /// A map.
    Map(&'a dyn Entries),
    /// A structure or union.
    Struct(&'a dyn Struct),
    /// Any JSON.
    Document(&'a Document),
    /// A body; its owner sends it.
    Stream(&'a ByteStream),
}

/// A place for a value on its way in.
pub enum Slot<'a> {
    /// There is no such member.
    None,
    /// Text.
    Str(&'a mut String),
    /// Text out of a list.
    Enum(&'a mut dyn Enum),
    /// `true` or `false`.
    Bool(&'a mut bool),
    /// `integer`
    Int(&'a mut i32),
    /// `long`
    Long(&'a mut i64),
    /// `float`
    Float(&'a mut f32),
    /// `double`
    Double(&'a mut f64),
    /// Bytes.
    Blob(&'a mut Bytes),
    /// A point in time.
    Timestamp(&'a mut Timestamp),
    /// A list; empty unless it was read before.
    List(&'a mut dyn List),
    /// A map; empty unless it was read before.
    Map(&'a mut dyn Entries),
    /// A structure or union.
    Struct(&'a mut dyn Struct),
    /// Any JSON.
    Document(&'a mut Document),
    /// A body; its owner sets it.
    Stream(&'a mut ByteStream),
}

/// A generated string enum.
pub trait Enum {
    /// The value on the wire.
    fn text(&self) -> &str;
    /// Takes the value called `text`, known or not.
    fn set(&mut self, text: &str);
}

/// A list of any type.
pub trait List: Send + Sync {
    /// Number of elements.
    fn len(&self) -> usize;
    /// Element `i`.
    fn get(&self, i: usize) -> View<'_>;
    /// Appends a default element; the place to read it into.
    fn push(&mut self) -> Slot<'_>;
    /// Drops all elements: a key that comes twice replaces.
    fn clear(&mut self);
    /// Memory of one element; see [`Budget`](crate::Budget).
    fn item_bytes(&self) -> usize;
    /// Whether there is none.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// A map of any type.
pub trait Entries: Send + Sync {
    /// Number of entries.
    fn len(&self) -> usize;
    /// Entry `i`, in insertion order.
    fn entry(&self, i: usize) -> (&str, View<'_>);
    /// Appends an entry with a default value; the place to read it into. Call [`Entries::finish`] after the last.
    fn push(&mut self, key: String) -> Slot<'_>;
    /// Drops all but the last entry of each key.
    fn finish(&mut self);
    /// Drops all entries: a member that comes twice replaces.
    fn clear(&mut self);
    /// Memory of one entry; see [`Budget`](crate::Budget).
    fn item_bytes(&self) -> usize;
    /// Whether there is none.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// What can stand in a list, a map or a member.
pub trait Item: Default + Send + Sync {
    /// It, to be written.
    fn view(&self) -> View<'_>;
    /// It, to be read into.
    fn slot(&mut self) -> Slot<'_>;
}

impl<T: Struct + Default> Item for T {
    fn view(&self) -> View<'_> {
        View::Struct(self)
    }

    fn slot(&mut self) -> Slot<'_> {
        Slot::Struct(self)
    }
}

macro_rules! item {
    ($type:ty, $self:ident => $view:expr, $slot:ident) => {
        impl Item for $type {
            fn view(&$self) -> View<'_> {
                $view
            }

            fn slot(&mut self) -> Slot<'_> {
                Slot::$slot(self)
            }
        }
    };
}

item!(String, self => View::Str(self), Str);
item!(bool, self => View::Bool(*self), Bool);
item!(i32, self => View::Int(i64::from(*self)), Int);
item!(i64, self => View::Int(*self), Long);
item!(f32, self => View::Float(*self), Float);
item!(f64, self => View::Double(*self), Double);
item!(Bytes, self => View::Blob(self), Blob);
item!(Timestamp, self => View::Timestamp(*self), Timestamp);
item!(Document, self => View::Document(self), Document);
item!(ByteStream, self => View::Stream(self), Stream);

impl<T: Item> Item for Vec<T> {
    fn view(&self) -> View<'_> {
        View::List(self)
    }

    fn slot(&mut self) -> Slot<'_> {
        Slot::List(self)
    }
}

impl<T: Item> Item for Map<T> {
    fn view(&self) -> View<'_> {
        View::Map(self)
    }

    fn slot(&mut self) -> Slot<'_> {
        Slot::Map(self)
    }
}

impl<T: Item> List for Vec<T> {
    fn len(&self) -> usize {
        self.len()
    }

    fn get(&self, i: usize) -> View<'_> {
        <[T]>::get(self, i).map_or(View::None, Item::view)
    }

    fn push(&mut self) -> Slot<'_> {
        self.push_mut(T::default()).slot()
    }

    fn clear(&mut self) {
        self.clear();
    }

    fn item_bytes(&self) -> usize {
        size_of::<T>()
    }
}

impl<T: Item> Entries for Map<T> {
    fn len(&self) -> usize {
        self.len()
    }

    fn entry(&self, i: usize) -> (&str, View<'_>) {
        self.entry_at(i)
            .map_or(("", View::None), |(key, value)| (key, value.view()))
    }

    fn push(&mut self, key: String) -> Slot<'_> {
        self.push(key, T::default()).slot()
    }

    fn finish(&mut self) {
        self.remove_doubles();
    }

    fn clear(&mut self) {
        *self = Map::new();
    }

    fn item_bytes(&self) -> usize {
        size_of::<(String, T)>()
    }
}

/// View of an optional member, for generated code.
pub fn view<T: Item>(member: &Option<T>) -> View<'_> {
    member.as_ref().map_or(View::None, Item::view)
}

/// Slot of an optional member, for generated code.
pub fn slot<T: Item>(member: &mut Option<T>) -> Slot<'_> {
    member.get_or_insert_default().slot()
}

/// What a generated string enum is made of besides its `match`es.
#[macro_export]
macro_rules! string_enum {
    ($name:ident) => {
        impl ::std::default::Default for $name {
            fn default() -> Self {
                $name::Unknown(::std::string::String::new())
            }
        }

        impl $crate::Enum for $name {
            fn text(&self) -> &str {
                self.as_str()
            }

            fn set(&mut self, text: &str) {
                *self = text.into();
            }
        }

        impl $crate::Item for $name {
            fn view(&self) -> $crate::View<'_> {
                $crate::View::Str(self.as_str())
            }

            fn slot(&mut self) -> $crate::Slot<'_> {
                $crate::Slot::Enum(self)
            }
        }

        impl ::std::fmt::Display for $name {
            fn fmt(&self, f: &mut ::std::fmt::Formatter<'_>) -> ::std::fmt::Result {
                f.write_str(self.as_str())
            }
        }
    };
}

impl<T: Struct + ?Sized> Struct for Box<T> {
    fn schema(&self) -> &'static Schema {
        (**self).schema()
    }

    fn get(&self, i: usize) -> View<'_> {
        (**self).get(i)
    }

    fn slot(&mut self, i: usize) -> Slot<'_> {
        (**self).slot(i)
    }

    fn active(&self) -> Option<usize> {
        (**self).active()
    }
}
