import AsynqCLI

await AsynqProgram.main()
