//! Reading what earlier versions wrote: each goes through all functions from its shape on.

use proc_macro2::TokenStream;
use quote::{quote, quote_spanned};
use syn::spanned::Spanned;

use crate::model::Upcast;

/// An expression of `Result<to, _>`: `present` for the present shape, or what the upcasts make of `payload`, an
/// `Option<&Payload>`, when `__saga_version` is an earlier one.
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
        quote!(..=#from => #private::upcast::<_, #to>(#payload, |__saga_old| #made),)
    });
    quote! {
        match __saga_version {
            #(#arms)*
            _ => #present,
        }
    }
}

/// The method of an event or a command that reads its payload, when it has upcasts.
pub(crate) fn method(upcasts: &[Upcast], private: &TokenStream) -> Option<TokenStream> {
    let payload = quote!(::core::option::Option::Some(__saga_payload));
    let read = read(upcasts, private, &quote!(Self), &payload, &quote!(__saga_payload.decode()));
    (!upcasts.is_empty()).then(|| {
        let from = upcasts.iter().map(|upcast| upcast.from);
        quote! {
            const UPCASTS: &'static [u32] = &[#(#from),*];
            fn __decode(
                __saga_payload: &#private::Payload,
                __saga_version: u32,
            ) -> ::core::result::Result<Self, #private::PayloadError> {
                #read
            }
        }
    })
}
