// Has replicas tell when a log of the ring grows, so that it need not be looked for all the time.

/** Between two attempts to open a session with a replica, in milliseconds. */
const AGAIN = 10_000

export class Listener {
  #sessions = new Set()
  #heard = false
  #wake = () => {}
  #open = true

  /** @param replicas whose sessions are opened; @param ring whose logs are told of */
  constructor(replicas, ring) {
    for (const replica of replicas) this.#listen(replica, ring)
  }

  /** Whether a replica tells. */
  get isLive() { return this.#sessions.size > 0 }

  async #listen(replica, ring) {
    while (this.#open) {
      let session
      try {
        session = await replica.connect()
        await session.subscribe({ kind: 'heads', ring }, () => this.#tell())
        this.#sessions.add(session)
        if (!this.#open) session.close()
        // What came before the subscription is looked for once.
        this.#tell()
        await session.closed
      } catch {
        // A replica that tells nothing is asked now and then, as before.
        session?.close()
      }
      this.#sessions.delete(session)
      if (this.#open) await new Promise(resolve => setTimeout(resolve, AGAIN))
    }
  }

  #tell() {
    this.#heard = true
    this.#wake()
  }

  /** Settles when a replica tells, or has told since the last time, at the latest after so many milliseconds. */
  async next(longest) {
    if (!this.#heard) {
      let timer
      await new Promise(resolve => {
        this.#wake = resolve
        timer = setTimeout(resolve, longest)
      })
      clearTimeout(timer)
    }
    this.#heard = false
  }

  close() {
    this.#open = false
    for (const session of this.#sessions) session.close()
    this.#wake()
  }
}
