/** Why a picture is not looked at, in words for the person who gave it */
export class Refusal extends Error {
  override readonly name = "Refusal";
}
