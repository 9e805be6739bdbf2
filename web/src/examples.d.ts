/** Made by vite.config.ts */
declare module "virtual:examples" {
  const examples: readonly { readonly name: string; readonly url: string }[];
  export default examples;
}
