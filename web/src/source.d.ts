/** A file of the project, with the classes of its comments, strings and keywords (web/build/source.go). */
declare module "source:*" {
  const code: readonly { class?: "comment" | "string" | "keyword"; text: string }[];
  export default code;
}
