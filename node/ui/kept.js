// What was read once and stays as it is, up to a number of things; the oldest go first.

export class Kept extends Map {
  #most

  constructor(most) {
    super()
    this.#most = most
  }

  set(key, value) {
    super.set(key, value)
    if (this.size > this.#most) this.delete(this.keys().next().value)
    return this
  }
}
