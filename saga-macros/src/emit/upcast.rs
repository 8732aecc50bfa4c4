//! The readers of earlier versions. A payload passes through all upcasts from its version on.

use proc_macro2::TokenStream;
use quote::{quote, quote_spanned};
use syn::spanned::Spanned;

use crate::model::Upcast;

/// An expression of type `Result<to, _>`. If `__saga_version` is an earlier version, the upcasts
/// convert `payload`, an `Option<&Payload>`. Otherwise the expression is `present`.
pub(crate) fn read(
    upcasts: &[Upcast],
    private: &TokenStream,
    to: &TokenStream,
    payload: &TokenStream,
    present: &TokenStream,
) -> TokenStream {
    if upcasts.is_empty() {
        return present.clone();
    }
    let arms = upcasts.iter().enumerate().map(|(first, upcast)| {
        let from = upcast.from;
        let made = upcasts[first..].iter().fold(quote!(__saga_old), |made, upcast| {
            let with = &upcast.with;
            quote_spanned!(with.span()=> #with(#made))
        });
        // A version without an upcast has the shape of the next version with an upcast.
        quote!(..=#from => #private::upcast::<_, #to>(#payload, |__saga_old| #made),)
    });
    quote! {
        match __saga_version {
            #(#arms)*
            _ => #present,
        }
    }
}

/// The versions with an upcast, and the shapes that the upcasts read. The last upcast makes a `to`.
pub(crate) fn list(upcasts: &[Upcast], private: &TokenStream, to: &TokenStream) -> TokenStream {
    let last = upcasts.len().saturating_sub(1);
    let upcasts = upcasts.iter().enumerate().map(|(nth, Upcast { from, with, .. })| {
        let made = if nth == last { to.clone() } else { quote!(_) };
        quote_spanned! {with.span()=>
            #private::UpcastFrom::new(#from, || #private::Reads::of::<_, #made>(|__saga_old| #with(__saga_old)))
        }
    });
    quote!(&[#(#upcasts),*])
}

/// The items of an event or a command that read earlier payloads. `None` without upcasts.
pub(crate) fn method(upcasts: &[Upcast], private: &TokenStream) -> Option<TokenStream> {
    let payload = quote!(::core::option::Option::Some(__saga_payload));
    let read = read(upcasts, private, &quote!(Self), &payload, &quote!(__saga_payload.decode()));
    (!upcasts.is_empty()).then(|| {
        let list = list(upcasts, private, &quote!(Self));
        quote! {
            #[allow(clippy::redundant_closure)]
            const UPCASTS: &'static [#private::UpcastFrom] = #list;
            fn __decode(
                __saga_payload: &#private::Payload,
                __saga_version: u32,
            ) -> ::core::result::Result<Self, #private::PayloadError> {
                #read
            }
        }
    })
}
