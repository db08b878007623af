//! The derive of `FromRow`, and nothing else; the facade re-exports it.

use proc_macro2::{Span, TokenStream};
use quote::quote;
use syn::{Data, DeriveInput, Error, Fields, LitStr, Result, parse_macro_input};

/// Reads a struct from a row by column names: each field from the column of its name, or of
/// `#[row(rename = "…")]`.
///
/// ```ignore
/// #[derive(FromRow)]
/// struct Link { code: String, #[row(rename = "target")] url: String }
/// ```
#[proc_macro_derive(FromRow, attributes(row))]
pub fn derive_from_row(input: proc_macro::TokenStream) -> proc_macro::TokenStream {
    let input = parse_macro_input!(input as DeriveInput);
    expand(&input).unwrap_or_else(Error::into_compile_error).into()
}

fn expand(input: &DeriveInput) -> Result<TokenStream> {
    let Data::Struct(data) = &input.data else {
        return Err(Error::new_spanned(&input.ident, "`FromRow` reads rows into structs"));
    };
    let Fields::Named(fields) = &data.fields else {
        return Err(Error::new_spanned(&input.ident, "`FromRow` needs named fields: they name the columns"));
    };
    let mut reads = Vec::new();
    for field in &fields.named {
        let name =
            field.ident.as_ref().ok_or_else(|| Error::new(Span::call_site(), "a field without a name"))?;
        let column = column(field)?.unwrap_or_else(|| LitStr::new(&name.to_string(), name.span()));
        reads.push(quote! { #name: row.try_get(#column)? });
    }
    let ident = &input.ident;
    let (generics, arguments, bounds) = input.generics.split_for_impl();
    Ok(quote! {
        impl #generics ::onefold::database::FromRow for #ident #arguments #bounds {
            fn from_row(
                row: &::onefold::database::Row,
            ) -> ::core::result::Result<Self, ::onefold::database::Error> {
                ::core::result::Result::Ok(Self { #(#reads),* })
            }
        }
    })
}

fn column(field: &syn::Field) -> Result<Option<LitStr>> {
    let mut column = None;
    for attribute in field.attrs.iter().filter(|attribute| attribute.path().is_ident("row")) {
        attribute.parse_nested_meta(|meta| {
            if !meta.path.is_ident("rename") {
                return Err(meta.error("it knows `rename = \"column\"` only"));
            }
            column = Some(meta.value()?.parse()?);
            Ok(())
        })?;
    }
    Ok(column)
}
