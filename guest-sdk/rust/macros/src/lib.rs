//! `#[bue::step]`. The crate it belongs to is named `bue` where it is used: `bue = { package = "bue-step", … }`.

use proc_macro::TokenStream;
use quote::{format_ident, quote};
use syn::{Error, FnArg, ItemFn, ReturnType, Type, parse_macro_input};

/// Makes a function a step: scripts name it on the step's function line.
///
/// Its parameters are the step's inputs, of any types that implement `Deserialize`; what it gives is `Serialize`, or an
/// `Outcome`, or a `Result` of either. Inputs that do not fit are a failure that says which one and why.
#[proc_macro_attribute]
pub fn step(arguments: TokenStream, item: TokenStream) -> TokenStream {
    let function = parse_macro_input!(item as ItemFn);
    if !arguments.is_empty() {
        return said("write `#[bue::step]`, without arguments", &function);
    }
    match registered(&function) {
        Ok(tokens) => tokens,
        Err(error) => error.into_compile_error().into(),
    }
}

fn said(message: &str, function: &ItemFn) -> TokenStream {
    Error::new_spanned(&function.sig.ident, message).into_compile_error().into()
}

fn registered(function: &ItemFn) -> Result<TokenStream, Error> {
    let signature = &function.sig;
    if let Some(word) = &signature.asyncness {
        return Err(Error::new_spanned(word, "a step is an ordinary function: it waits by calling what waits"));
    }
    if !signature.generics.params.is_empty() {
        return Err(Error::new_spanned(&signature.generics, "a step has no type parameters: name the types it takes"));
    }
    let types = signature.inputs.iter().map(parameter).collect::<Result<Vec<&Type>, Error>>()?;
    let name = &signature.ident;
    let text = name.to_string();
    let (places, arguments): (Vec<usize>, Vec<_>) =
        (0..types.len()).map(|place| (place, format_ident!("argument_{place}"))).unzip();
    let count = types.len();
    let call = quote! { #name(#(#arguments),*) };
    let ended = match gives_result(&signature.output) {
        true => quote! { ::bue::__private::ended(#call.map_err(::bue::Error::from)) },
        false => quote! { ::bue::__private::ended(::core::result::Result::Ok(#call)) },
    };
    Ok(quote! {
        #function

        const _: () = {
            fn run(inputs: &::bue::__private::Inputs) -> ::bue::__private::Ended {
                inputs.expect(#text, #count)?;
                #( let #arguments = inputs.get::<#types>(#text, #places)?; )*
                #ended
            }
            ::bue::__register!(#text, run);
        };
    }
    .into())
}

fn parameter(argument: &FnArg) -> Result<&Type, Error> {
    match argument {
        FnArg::Typed(typed) => match &*typed.ty {
            Type::Reference(reference) => {
                Err(Error::new_spanned(reference, "a step's inputs are its own: take the value, not a reference"))
            }
            ty => Ok(ty),
        },
        FnArg::Receiver(receiver) => Err(Error::new_spanned(receiver, "a step is a function, not a method")),
    }
}

/// Is the type a `Result`, of whatever path?
fn gives_result(output: &ReturnType) -> bool {
    let ReturnType::Type(_, ty) = output else { return false };
    let Type::Path(path) = &**ty else { return false };
    path.path.segments.last().is_some_and(|last| last.ident == "Result")
}
