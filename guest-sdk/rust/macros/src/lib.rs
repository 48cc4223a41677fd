//! The attribute macro `#[bue::step]`. Its code expects the SDK under the name `bue`: `bue = { package = "bue-step", … }`.

use proc_macro::TokenStream;
use quote::{format_ident, quote};
use syn::{Error, FnArg, ItemFn, ReturnType, Type, parse_macro_input};

/// Makes a function a step, which scripts name on the step's function line.
///
/// The parameters are the step's inputs, of any types that implement `Deserialize`. The function returns a type that implements
/// `Serialize`, an `Outcome`, or a `Result` of either. An input that does not fit its parameter is a failure whose message
/// contains its position and the reason.
#[proc_macro_attribute]
pub fn step(arguments: TokenStream, item: TokenStream) -> TokenStream {
    let function = parse_macro_input!(item as ItemFn);
    if !arguments.is_empty() {
        return compile_error("write `#[bue::step]`, without arguments", &function);
    }
    match expand(&function) {
        Ok(tokens) => tokens,
        Err(error) => error.into_compile_error().into(),
    }
}

fn compile_error(message: &str, function: &ItemFn) -> TokenStream {
    Error::new_spanned(&function.sig.ident, message).into_compile_error().into()
}

fn expand(function: &ItemFn) -> Result<TokenStream, Error> {
    let signature = &function.sig;
    if let Some(keyword) = &signature.asyncness {
        return Err(Error::new_spanned(
            keyword,
            "a step is a synchronous function: remove `async` and use blocking calls",
        ));
    }
    if !signature.generics.params.is_empty() {
        return Err(Error::new_spanned(
            &signature.generics,
            "a step cannot have type parameters: write concrete types",
        ));
    }
    let types = signature.inputs.iter().map(parameter).collect::<Result<Vec<&Type>, Error>>()?;
    let name = &signature.ident;
    let text = name.to_string();
    let (indexes, arguments): (Vec<usize>, Vec<_>) =
        (0..types.len()).map(|index| (index, format_ident!("argument_{index}"))).unzip();
    let count = types.len();
    let call = quote! { #name(#(#arguments),*) };
    let returned = match returns_result(&signature.output) {
        true => quote! { ::bue::__private::encode_outcome(#call.map_err(::bue::Error::from)) },
        false => quote! { ::bue::__private::encode_outcome(::core::result::Result::Ok(#call)) },
    };
    Ok(quote! {
        #function

        const _: () = {
            fn call(inputs: &::bue::__private::Inputs) -> ::bue::__private::CallResult {
                inputs.expect_count(#text, #count)?;
                #( let #arguments = inputs.get::<#types>(#text, #indexes)?; )*
                #returned
            }
            ::bue::__register!(#text, call);
        };
    }
    .into())
}

fn parameter(argument: &FnArg) -> Result<&Type, Error> {
    match argument {
        FnArg::Typed(typed) => match &*typed.ty {
            Type::Reference(reference) => {
                Err(Error::new_spanned(reference, "a step owns its inputs: take the value, not a reference"))
            }
            ty => Ok(ty),
        },
        FnArg::Receiver(receiver) => Err(Error::new_spanned(receiver, "a step is a function, not a method")),
    }
}

/// Whether the type is a `Result`, with any path.
fn returns_result(output: &ReturnType) -> bool {
    let ReturnType::Type(_, ty) = output else { return false };
    let Type::Path(path) = &**ty else { return false };
    path.path.segments.last().is_some_and(|last| last.ident == "Result")
}
